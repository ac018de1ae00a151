//! What INFO tells: figures, facts, and the states in which Redis answers but is not well. Pure.
//!
//! The hit rate is Redis's own, since its start. `memory_usage` is of `maxmemory`; without one (0), of the
//! memory of Redis's machine, as INFO tells it.

use super::Limits;
use farol_health::{Figure, Outcome, Unit};

/// Looks up one of INFO's fields.
type Field<'f> = &'f dyn Fn(&str) -> Option<String>;

/// Judges INFO's fields.
pub(super) fn outcome(field: Field<'_>, limits: &Limits) -> Outcome {
    let mut outcome = judge(field, limits);
    for (key, name) in [("version", "redis_version"), ("role", "role"), ("mode", "redis_mode")] {
        if let Some(value) = field(name) {
            outcome = outcome.with_fact(key, value);
        }
    }
    let number = |name: &str| number(field, name);
    outcome = memory(outcome, &Memory::told(field));
    let (hits, misses) = (number("keyspace_hits"), number("keyspace_misses"));
    if let (Some(hits), Some(misses)) = (hits, misses)
        && hits + misses > 0.0
    {
        let percent = hits / (hits + misses) * 100.0;
        outcome = outcome.with(Figure::gauge("cache_hit_ratio", percent, Unit::Percent).shown_as("hit_rate"));
    }
    // -1 while the primary is not reached.
    let silence = number("master_last_io_seconds_ago").filter(|seconds| *seconds >= 0.0);
    for (name, value, unit) in [
        ("cache_clients_connected", number("connected_clients"), Unit::None),
        ("cache_replicas_connected", number("connected_slaves"), Unit::None),
        ("cache_replication_silence_seconds", silence, Unit::Seconds),
        ("cache_uptime_seconds", number("uptime_in_seconds"), Unit::Seconds),
    ] {
        if let Some(value) = value {
            outcome = outcome.with(Figure::gauge(name, value, unit));
        }
    }
    for (name, value) in [
        ("cache_hits_total", hits),
        ("cache_misses_total", misses),
        ("cache_evicted_keys_total", number("evicted_keys")),
        ("cache_commands_total", number("total_commands_processed")),
    ] {
        if let Some(value) = value {
            outcome = outcome.with(Figure::counter(name, value, Unit::None));
        }
    }
    outcome
}

/// The answer of a server that answers PING but may not tell more.
pub(super) fn no_figures() -> Outcome {
    Outcome::healthy()
        .with_fact("hint", "the user may not run INFO, so there are no figures: ACL SETUSER … +info")
}

fn number(field: Field<'_>, name: &str) -> Option<f64> {
    field(name)?.parse().ok()
}

/// What is used of what.
struct Memory {
    used: Option<f64>,
    /// `maxmemory`, unless that is 0.
    own: Option<f64>,
    /// The machine's.
    machine: Option<f64>,
}

impl Memory {
    fn told(field: Field<'_>) -> Self {
        let some = |name| number(field, name).filter(|max| *max > 0.0);
        Self {
            used: number(field, "used_memory"),
            own: some("maxmemory"),
            machine: some("total_system_memory"),
        }
    }

    fn percent(&self) -> Option<f64> {
        Some(self.used? / self.own.or(self.machine)? * 100.0)
    }
}

fn memory(mut outcome: Outcome, memory: &Memory) -> Outcome {
    if let Some(used) = memory.used {
        outcome = outcome.with(Figure::gauge("cache_memory_used_bytes", used, Unit::Bytes));
    }
    if let Some(max) = memory.own {
        outcome = outcome.with(Figure::gauge("cache_memory_max_bytes", max, Unit::Bytes));
    }
    let Some(percent) = memory.percent() else { return outcome };
    let limit = if memory.own.is_some() { "maxmemory" } else { "the machine" };
    let figure = Figure::gauge("cache_memory_usage_percent", percent, Unit::Percent);
    outcome.with(figure.shown_as("memory_usage")).with_fact("memory_limit", limit)
}

fn judge(field: Field<'_>, limits: &Limits) -> Outcome {
    let is = |name: &str, value: &str| field(name).is_some_and(|v| v == value);
    let memory = Memory::told(field);
    let full = memory.own.is_some_and(|own| memory.used.is_some_and(|used| used >= own));
    if is("loading", "1") {
        return Outcome::unhealthy("loading", "Redis loads its data and answers nobody yet: wait");
    }
    let (reason, message) = if is("async_loading", "1") {
        ("async_loading", "this replica loads its primary's data and serves old data meanwhile: wait")
    } else if is("master_link_status", "down") && is("master_sync_in_progress", "1") {
        ("replica_syncing", "this replica copies its primary's data and has not all of it yet: wait")
    } else if is("master_link_status", "down") {
        (
            "replica_link_down",
            "this replica has lost its primary and serves old data: look at the primary and the network",
        )
    } else if is("rdb_last_bgsave_status", "err") || is("aof_last_write_status", "err") {
        (
            "persistence_failed",
            "Redis could not save its data and may refuse writes: free disk space, read its log",
        )
    } else if is("role", "master") && is("min_slaves_good_slaves", "0") {
        (
            "too_few_replicas",
            "no replica keeps up, so writes fail: look at the replicas and at min-replicas-to-write",
        )
    } else if full && is("maxmemory_policy", "noeviction") {
        (
            "memory_full",
            "the memory is full and nothing is evicted, so writes fail: raise maxmemory or set a policy",
        )
    } else if let (Some(limit), Some(percent)) = (limits.memory_above, memory.percent())
        && percent >= limit
    {
        let message =
            format!("{limit} % of its memory are used: let keys expire, raise maxmemory or add memory");
        return Outcome::degraded("memory_high", message);
    } else {
        return Outcome::healthy();
    };
    Outcome::degraded(reason, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::Status;

    type Fields = &'static [(&'static str, &'static str)];

    fn judged(fields: Fields) -> Outcome {
        let limits = Limits { memory_above: Some(90.0), ..Limits::default() };
        outcome(&|key| fields.iter().find(|(k, _)| *k == key).map(|(_, v)| (*v).to_owned()), &limits)
    }

    fn shown(outcome: &Outcome, key: &str) -> Option<f64> {
        outcome.figures.iter().find(|f| f.shown_as == Some(key)).map(|f| f.value)
    }

    #[test]
    fn the_hit_rate_is_left_out_until_something_was_looked_up() {
        assert_eq!(shown(&judged(&[("keyspace_hits", "0"), ("keyspace_misses", "0")]), "hit_rate"), None);
        let outcome = judged(&[("keyspace_hits", "95"), ("keyspace_misses", "5")]);
        assert_eq!(shown(&outcome, "hit_rate"), Some(95.0));
    }

    #[test]
    fn memory_usage_is_of_maxmemory_else_of_the_machine_else_left_out() {
        let table: [(Fields, Option<f64>); 3] = [
            (&[("used_memory", "45"), ("maxmemory", "100"), ("total_system_memory", "1000")], Some(45.0)),
            (&[("used_memory", "45"), ("maxmemory", "0"), ("total_system_memory", "1000")], Some(4.5)),
            (&[("used_memory", "45")], None),
        ];
        for (fields, expected) in table {
            assert_eq!(shown(&judged(fields), "memory_usage"), expected);
        }
    }

    #[test]
    fn states_in_which_redis_answers_but_is_not_well() {
        let table: [(Fields, Status, &str); 12] = [
            (&[("role", "master")], Status::Healthy, "ok"),
            (&[("loading", "1")], Status::Unhealthy, "loading"),
            (&[("role", "slave"), ("master_link_status", "up")], Status::Healthy, "ok"),
            (&[("role", "slave"), ("master_link_status", "down")], Status::Degraded, "replica_link_down"),
            (
                &[("role", "slave"), ("master_link_status", "down"), ("master_sync_in_progress", "1")],
                Status::Degraded,
                "replica_syncing",
            ),
            (&[("loading", "0"), ("async_loading", "1")], Status::Degraded, "async_loading"),
            (&[("role", "master"), ("min_slaves_good_slaves", "0")], Status::Degraded, "too_few_replicas"),
            (&[("role", "master"), ("min_slaves_good_slaves", "1")], Status::Healthy, "ok"),
            (
                &[("maxmemory", "10"), ("used_memory", "9"), ("maxmemory_policy", "allkeys-lru")],
                Status::Degraded,
                "memory_high",
            ),
            (&[("maxmemory", "100"), ("used_memory", "89")], Status::Healthy, "ok"),
            (&[("rdb_last_bgsave_status", "err")], Status::Degraded, "persistence_failed"),
            (
                &[("maxmemory", "9"), ("used_memory", "9"), ("maxmemory_policy", "noeviction")],
                Status::Degraded,
                "memory_full",
            ),
        ];
        for (fields, status, reason) in table {
            let outcome = judged(fields);
            assert_eq!((outcome.status, outcome.reason.as_ref()), (status, reason), "{fields:?}");
        }
    }
}
