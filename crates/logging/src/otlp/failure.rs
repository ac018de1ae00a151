//! Why an export was not taken, and what is to be done about it, by the OTLP specification. Does nothing itself.

use std::error::Error as _;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why an export was not taken.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) why: String,
    pub(super) next: Next,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// The collector may take it later; it may have said when.
    Later(Option<Duration>),
    /// It may take less at once.
    Less,
    /// It never takes it.
    Never,
}

impl Failure {
    pub(super) fn of(status: &Status) -> Self {
        let code = status.code();
        // What the collector says to it is left out: it may repeat a header.
        let mut why = format!("gRPC code {code:?}");
        let mut source = status.source();
        let next = match (source, code) {
            // The connection's word, not the collector's.
            (Some(_), _) => Next::Later(None),
            (None, Code::ResourceExhausted | Code::OutOfRange) => {
                // Without the time servers mean a message over their limit: those of gRPC's own libraries with the first
                // code, those of Rust's with the other.
                status.get_details_retry_info().map_or(Next::Less, |info| Next::Later(info.retry_delay))
            }
            (
                None,
                Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::Unavailable | Code::DataLoss,
            ) => Next::Later(status.get_details_retry_info().and_then(|info| info.retry_delay)),
            (None, _) => Next::Never,
        };
        while let Some(error) = source {
            why = format!("{why}: {error}");
            source = error.source();
        }
        Self { why, next }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::{Failure, Next};

    #[test]
    fn a_status_says_what_is_tried_again_when_and_how_much_of_it() {
        let delay = Some(Duration::from_secs(7));
        for (code, plain, told) in [
            (Code::Unavailable, Next::Later(None), Next::Later(delay)),
            (Code::DeadlineExceeded, Next::Later(None), Next::Later(delay)),
            (Code::ResourceExhausted, Next::Less, Next::Later(delay)),
            (Code::OutOfRange, Next::Less, Next::Later(delay)),
            (Code::InvalidArgument, Next::Never, Next::Never),
            (Code::Unimplemented, Next::Never, Next::Never),
            (Code::Unknown, Next::Never, Next::Never),
        ] {
            assert_eq!(Failure::of(&Status::new(code, "s3cret")).next, plain, "{code:?}");
            let details = ErrorDetails::with_retry_info(delay);
            let failure = Failure::of(&Status::with_error_details(code, "s3cret", details));
            assert_eq!(failure.next, told, "{code:?}");
            assert_eq!(failure.why, format!("gRPC code {code:?}"));
        }
    }

    #[test]
    fn a_connections_failure_is_tried_again_and_its_causes_are_told() {
        let cause = std::io::Error::new(std::io::ErrorKind::BrokenPipe, "broken pipe");
        let failure = Failure::of(&Status::from_error(Box::new(cause)));
        assert_eq!(failure.next, Next::Later(None));
        assert!(failure.why.ends_with(": broken pipe"), "{}", failure.why);
    }
}
