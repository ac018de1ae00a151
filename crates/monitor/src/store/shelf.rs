//! The upkeep of blocks and roll-ups, the same on every database: what is merged, what is too old, what is too much.
//! Decides what is done in a step; how it is asked and written is each dialect's.

use super::memory::Memory;
use super::rollups::{self, DayRow};
use super::seals::{NewBlock, day};
use super::{DAY_MS, Level, Retention, Sizes};
use crate::recent::FIVE_MINUTES_MS;

const HOUR_MS: i64 = 3_600_000;
/// An agent's day is merged when it has been over for so long: its last runs are sealed by then.
const SETTLED_MS: i64 = 2 * HOUR_MS;
/// The budget takes nothing that is younger: whole hours go, and the last one stays.
const SPARED_MS: i64 = 2 * HOUR_MS;
/// Blocks that are deleted in a step.
pub(crate) const BLOCKS_A_STEP: i64 = 512;

/// Bytes of blocks, by level, and of documents.
pub(crate) type Totals = (i64, i64, i64, i64);

/// How a dialect asks and writes; each that writes is one transaction.
pub(crate) trait Shelf: Send {
    /// The first agent and day before this one with a roll-up that is not merged.
    fn due(
        &mut self,
        before_day: i64,
    ) -> impl Future<Output = Result<Option<(i64, i64)>, sqlx::Error>> + Send;

    /// An agent's roll-ups by 5 minutes of a day.
    fn of_day(
        &mut self,
        day: i64,
        agent: i64,
    ) -> impl Future<Output = Result<Vec<DayRow>, sqlx::Error>> + Send;

    /// Puts some in the place of others.
    fn replace(
        &mut self,
        gone: &[i64],
        new: &[NewBlock],
    ) -> impl Future<Output = Result<(), sqlx::Error>> + Send;

    /// The newest time of the block of a level that ends first.
    fn oldest(&mut self, level: Level) -> impl Future<Output = Result<Option<i64>, sqlx::Error>> + Send;

    /// Notes that the level begins at this time, and deletes some of what lies before it; how many. Roll-ups that are not
    /// merged stay until they are.
    fn cut(&mut self, level: Level, before_ms: i64) -> impl Future<Output = Result<u64, sqlx::Error>> + Send;

    /// What there is, and bytes of the journal.
    fn measure(&mut self) -> impl Future<Output = Result<(Totals, i64), sqlx::Error>> + Send;
}

/// Merges what is due of one agent's day. False when nothing is.
pub(crate) async fn roll_up(
    shelf: &mut impl Shelf,
    memory: &Memory,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    let Some((on, agent)) = shelf.due(day(now_ms.saturating_sub(SETTLED_MS))).await? else {
        return Ok(false);
    };
    let rows = shelf.of_day(on, agent).await?;
    let gone: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let merged = rollups::merge(&memory.place, on, u32::try_from(agent).unwrap_or(u32::MAX), rows);
    shelf.replace(&gone, &merged).await?;
    Ok(true)
}

/// Deletes some of what is too old. False when nothing is.
pub(crate) async fn retain(
    shelf: &mut impl Shelf,
    memory: &Memory,
    retention: &Retention,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    for level in Level::ALL {
        let mut before_ms = retention.oldest_ms(level, now_ms).max(cut(memory, level, now_ms));
        let oldest = shelf.oldest(level).await?;
        // A cut that nothing lies before stays where it is: a store that is young has no past to miss. One that a
        // clock made which was ahead goes back, once a clock may say what is old.
        let is_ahead = retention.deletes_by_age() && memory.catalog.read().cuts.of(level) > now_ms;
        if is_ahead {
            before_ms = before_ms.max(begins(level, oldest, now_ms));
        } else if oldest.is_none_or(|oldest| oldest >= before_ms) {
            continue;
        }
        memory.catalog.write().cuts.set(level, before_ms);
        if shelf.cut(level, before_ms).await? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Where a level begins that was cut by a clock which was ahead: at what is left of it, of which the oldest ends then. What
/// lies before is read from the coarser levels, which may have it still.
fn begins(level: Level, oldest: Option<i64>, now_ms: i64) -> i64 {
    let length_ms = match level {
        Level::Raw => FIVE_MINUTES_MS,
        Level::FiveMinutes => DAY_MS,
        Level::OneHour => return i64::MIN,
    };
    oldest.unwrap_or(now_ms).div_euclid(length_ms) * length_ms
}

/// Where a level was cut. A cut that lies ahead says nothing: the clock was, when it was made.
fn cut(memory: &Memory, level: Level, now_ms: i64) -> i64 {
    let cut_ms = memory.catalog.read().cuts.of(level);
    if cut_ms > now_ms { i64::MIN } else { cut_ms }
}

/// Measures, and moves the cut of the finest level that has something to spare when it is too much. True when something
/// went: then what lies before it is to be deleted.
pub(crate) async fn hold_budget(
    shelf: &mut impl Shelf,
    memory: &Memory,
    retention: &Retention,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    let ((raw, five_minutes, one_hour, documents), journal) = shelf.measure().await?;
    let levels = [raw, five_minutes, one_hour].map(|bytes| u64::try_from(bytes).unwrap_or(0));
    let before = *memory.sizes.lock();
    let documents = u64::try_from(documents).unwrap_or(0);
    let sizes = Sizes { journal: journal.unsigned_abs(), levels, documents, ..before };
    *memory.sizes.lock() = sizes;
    let floor = retention.budget / 4;
    tell_journal(memory, &before, &sizes, retention.budget);
    if levels.iter().sum::<u64>()
        <= retention.budget.saturating_sub(sizes.journal).saturating_sub(documents).max(floor)
    {
        return Ok(false);
    }
    for level in Level::ALL {
        // The last hour is never taken. Roll-ups of days that are not merged yet are still needed for those by the
        // hour.
        let spare_ms = match level {
            Level::Raw | Level::OneHour => now_ms.saturating_sub(SPARED_MS),
            Level::FiveMinutes => (day(now_ms.saturating_sub(SETTLED_MS)) - 1) * DAY_MS,
        };
        let Some(oldest) = shelf.oldest(level).await?.filter(|oldest| *oldest < spare_ms) else { continue };
        let to_ms = ((oldest.div_euclid(HOUR_MS) + 1) * HOUR_MS).max(cut(memory, level, now_ms));
        tell(memory, level, to_ms, &sizes, retention.budget);
        memory.sizes.lock().over_budget += 1;
        memory.catalog.write().cuts.set(level, to_ms);
        return Ok(shelf.cut(level, to_ms).await? > 0);
    }
    Ok(false)
}

/// Says that the journal leaves too little for anything else: once, until it did not for a while.
fn tell_journal(memory: &Memory, before: &Sizes, now: &Sizes, budget: u64) {
    let is_large = |sizes: &Sizes| sizes.journal > budget - budget / 4;
    if is_large(now) && !is_large(before) {
        tracing::warn!(
            store.place = %memory.place,
            bytes = now.journal,
            budget,
            "what is not sealed yet takes most of `store.budget`: a quarter stays for history, and the store grows over \
             its budget; raise it, or look which agents send no key reports"
        );
    }
}

/// Says that the budget takes something away: once, until it was kept for a while.
fn tell(memory: &Memory, level: Level, to_ms: i64, sizes: &Sizes, budget: u64) {
    if sizes.over_budget == 0 {
        tracing::warn!(
            store.place = %memory.place,
            level = level.as_str(),
            cut_ms = to_ms,
            bytes = sizes.total(),
            budget,
            "the store is over `store.budget`: the oldest history goes before its time; raise the budget, or keep less"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{DAY_MS, HOUR_MS, Level, begins};

    #[test]
    fn a_level_that_a_clock_cut_which_was_ahead_begins_where_its_coarser_one_can_end() {
        let now_ms = 20 * DAY_MS + 7 * HOUR_MS + 400_000;
        for (level, oldest, expected) in [
            (Level::Raw, Some(20 * DAY_MS + 299_999), 20 * DAY_MS),
            (Level::Raw, None, 20 * DAY_MS + 7 * HOUR_MS + 300_000),
            (Level::FiveMinutes, Some(19 * DAY_MS - 1), 18 * DAY_MS),
            (Level::FiveMinutes, None, 20 * DAY_MS),
            (Level::OneHour, Some(5), i64::MIN),
        ] {
            assert_eq!(begins(level, oldest, now_ms), expected, "{level:?} {oldest:?}");
        }
    }
}
