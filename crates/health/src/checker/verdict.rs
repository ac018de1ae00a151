//! How a run ended, and what that says of the component. Pure; how it counts is decided in `counting`.

use crate::counting::Soft;
use crate::{Check, Outcome, Spec, Status};
use std::time::Duration;

/// How a run ended.
#[derive(Debug)]
pub(super) enum End {
    /// The check answered.
    Answered {
        /// What it said.
        outcome: Outcome,
        /// How long it took.
        took: Duration,
    },
    /// There was no answer by the deadline.
    Overdue {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The check's code panicked.
    Panicked,
}

/// What the end of a run says.
#[derive(Debug)]
pub(super) struct Verdict {
    /// What is counted.
    pub(super) soft: Soft,
    /// What is shown.
    pub(super) outcome: Outcome,
    /// How long the run took, unless it panicked.
    pub(super) took: Option<Duration>,
}

impl Verdict {
    /// `starved`: the process got no processor time at some moment of the run.
    pub(super) fn of(end: End, spec: &Spec, check: &dyn Check, starved: bool) -> Self {
        match end {
            End::Answered { took, .. } if took > spec.deadline => Self::late(took, spec, check, starved),
            End::Overdue { waited } => Self::late(waited, spec, check, starved),
            End::Answered { mut outcome, took } => {
                if let Some(limit) = spec.degraded_above
                    && outcome.status == Status::Healthy
                    && took > limit
                {
                    outcome.status = Status::Degraded;
                    outcome.reason = "slow".into();
                    outcome.message = format!("it works, but its answer took longer than {limit:?}");
                }
                Self::result(outcome, Some(took))
            }
            End::Panicked => {
                let message = "the check itself failed: this is a fault in its code, the log says where";
                Self::result(Outcome::unknown("check_panicked", message), None)
            }
        }
    }

    /// A result that came by itself.
    pub(super) fn told(outcome: Outcome) -> Self {
        Self::result(outcome, None)
    }

    fn late(waited: Duration, spec: &Spec, check: &dyn Check, starved: bool) -> Self {
        if starved {
            let message = "this process got no processor time, so the run says nothing; \
                           give it more or run fewer checks";
            let outcome = Outcome::unknown("agent_starved", message);
            return Self { soft: Soft::Skipped, outcome, took: None };
        }
        let message = match check.target() {
            Some(target) => format!(
                "no answer from {target} within {:?}: look at its load and at the network, or raise `deadline`",
                spec.deadline
            ),
            None => {
                format!("no answer within {:?}: look at what it asks, or raise `deadline`", spec.deadline)
            }
        };
        Self::result(Outcome::unhealthy("deadline_exceeded", message), Some(waited))
    }

    fn result(outcome: Outcome, took: Option<Duration>) -> Self {
        Self { soft: Soft::Result(outcome.status), outcome, took }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks somebody, if only in words.
    struct Somebody;

    impl Check for Somebody {
        fn kind(&self) -> &'static str {
            "tcp"
        }

        fn target(&self) -> Option<String> {
            Some("db:5432".to_owned())
        }

        fn run(&self) -> futures::future::BoxFuture<'_, Outcome> {
            Box::pin(std::future::ready(Outcome::healthy()))
        }
    }

    #[test]
    fn a_missed_deadline_names_who_was_asked_and_what_to_do() {
        let spec = Spec::new("database", "shop");
        let late = |check: &dyn Check| {
            Verdict::of(End::Overdue { waited: Duration::from_millis(507) }, &spec, check, false)
                .outcome
                .message
        };
        let named =
            "no answer from db:5432 within 500ms: look at its load and at the network, or raise `deadline`";
        assert_eq!(late(&Somebody), named);
        let nobody = crate::check_fn("disk", async || Outcome::healthy());
        assert_eq!(late(&nobody), "no answer within 500ms: look at what it asks, or raise `deadline`");
    }

    #[test]
    fn the_end_of_a_run_says_what_it_can() {
        let ms = Duration::from_millis;
        let answered = |outcome, took| End::Answered { outcome, took: ms(took) };
        let refused = || Outcome::unhealthy("connection_refused", "");
        let spec = Spec { degraded_above: Some(ms(100)), ..Spec::new("database", "shop") };
        for (end, starved, soft, reason) in [
            (answered(Outcome::healthy(), 100), false, Some(Status::Healthy), "ok"),
            (answered(Outcome::healthy(), 101), false, Some(Status::Degraded), "slow"),
            (answered(Outcome::degraded("lag", ""), 200), false, Some(Status::Degraded), "lag"),
            (answered(refused(), 400), true, Some(Status::Unhealthy), "connection_refused"),
            (answered(Outcome::healthy(), 501), false, Some(Status::Unhealthy), "deadline_exceeded"),
            (answered(Outcome::healthy(), 501), true, None, "agent_starved"),
            (End::Overdue { waited: ms(500) }, false, Some(Status::Unhealthy), "deadline_exceeded"),
            (End::Overdue { waited: ms(500) }, true, None, "agent_starved"),
            (End::Panicked, true, Some(Status::Unknown), "check_panicked"),
        ] {
            let said = format!("{end:?}, starved: {starved}");
            let verdict = Verdict::of(end, &spec, &Somebody, starved);
            assert_eq!(verdict.soft, soft.map_or(Soft::Skipped, Soft::Result), "{said}");
            assert_eq!(verdict.outcome.reason, reason, "{said}");
        }
    }
}
