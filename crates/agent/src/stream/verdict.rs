//! What the end of a stream means: it passes by itself, or somebody has to do something. Pure.

use tonic::Code as Grpc;

/// Why a monitor refuses an agent. It will refuse it again until somebody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The agent did not say who it is.
    Unauthenticated,
    /// It may not speak for this id.
    PermissionDenied,
    /// No protocol version is common to both.
    FailedPrecondition,
    /// The monitor did not understand it.
    InvalidArgument,
    /// Another process speaks for this id.
    AlreadyExists,
    /// There is a gRPC server, but no monitor.
    Unimplemented,
}

impl Code {
    /// The refusal in a status, if it is one; everything else is tried again soon.
    pub(crate) fn of(code: Grpc) -> Option<Self> {
        Some(match code {
            Grpc::Unauthenticated => Self::Unauthenticated,
            Grpc::PermissionDenied => Self::PermissionDenied,
            Grpc::FailedPrecondition => Self::FailedPrecondition,
            Grpc::InvalidArgument => Self::InvalidArgument,
            Grpc::AlreadyExists => Self::AlreadyExists,
            Grpc::Unimplemented => Self::Unimplemented,
            _ => return None,
        })
    }

    /// The component's reason code.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::PermissionDenied => "permission_denied",
            Self::FailedPrecondition => "version_mismatch",
            Self::InvalidArgument => "protocol_refused",
            Self::AlreadyExists => "identity_conflict",
            Self::Unimplemented => "not_a_monitor",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_ends_are_refusals() {
        let refusals = [
            Grpc::Unauthenticated,
            Grpc::PermissionDenied,
            Grpc::FailedPrecondition,
            Grpc::InvalidArgument,
            Grpc::AlreadyExists,
            Grpc::Unimplemented,
        ];
        for number in 0..=16 {
            let code = Grpc::from_i32(number);
            assert_eq!(Code::of(code).is_some(), refusals.contains(&code), "{code:?}");
        }
    }
}
