//! How long each stage of the start took: the other half of a process's life. Decides nothing; whoever starts says
//! where a stage ends.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Handle;

/// A process has a handful; a start that repeats itself is not kept for ever.
const AT_MOST: usize = 32;

/// A stage of the start that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name, a label of metrics.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// The stages so far.
#[derive(Debug)]
pub(crate) struct Stages(Mutex<(Instant, Vec<Stage>)>);

impl Stages {
    pub(crate) fn begin(now: Instant) -> Self {
        Self(Mutex::new((now, Vec::new())))
    }

    fn end(&self, name: &'static str, now: Instant) -> Duration {
        let mut state = self.0.lock();
        let took = now.saturating_duration_since(std::mem::replace(&mut state.0, now));
        if state.1.len() < AT_MOST {
            state.1.push(Stage { name, took });
        }
        took
    }
}

impl Handle {
    /// A stage of the start ends here; it began where the one before ended, the first with the supervisor. Logged.
    pub fn stage(&self, name: &'static str) {
        let took = self.shared.stages.end(name, Instant::now());
        let duration_ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        tracing::info!(
            event.kind = "performance",
            event.name = "start_stage",
            subject = name,
            duration_ms,
            "a stage of the start is over"
        );
    }

    /// The stages that are over, in order.
    pub fn stages(&self) -> Vec<Stage> {
        self.shared.stages.0.lock().1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_begins_where_the_one_before_ended() {
        let begin = Instant::now();
        let ms = Duration::from_millis;
        let stages = Stages::begin(begin);
        assert_eq!(stages.end("listen", begin + ms(3)), ms(3));
        assert_eq!(stages.end("store", begin + ms(10)), ms(7));
        assert_eq!(stages.end("store", begin + ms(9)), ms(0), "a clock that went back");
        let all = stages.0.lock().1.clone();
        assert_eq!(all[..2], [Stage { name: "listen", took: ms(3) }, Stage { name: "store", took: ms(7) }]);
    }
}
