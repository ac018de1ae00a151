//! What each answer of grpc.health.v1 and each failure to get one is called, and what to do about it. Pure.

use crate::failure::{Failure, find};
use farol_health::Outcome;
use farol_health::grpc::ServingStatus;
use farol_health::grpc::client::{CheckError, Watched};
use std::error::Error;
use std::io;
use tonic::{Code, Status};

/// What should listen, in messages.
const THING: &str = "the gRPC server";

/// Names a status.
pub(super) fn of_status(status: ServingStatus, service: &str, target: &str) -> Outcome {
    match status {
        ServingStatus::Serving => Outcome::healthy(),
        ServingStatus::NotServing => {
            let message =
                format!("{target} says that {} is not serving: its own health says why", of(service));
            Outcome::unhealthy("not_serving", message)
        }
        ServingStatus::Unknown => {
            let message =
                format!("{target} does not know whether {} is serving: its own health says why", of(service));
            Outcome::unknown("status_unknown", message)
        }
    }
}

/// Names why Check gave no status.
pub(super) fn of_check(error: &CheckError, target: &str) -> Failure {
    match error {
        CheckError::UnknownService(service) => unknown_service(service, target),
        CheckError::Unimplemented => unimplemented(target),
        CheckError::NotGrpc => {
            let message =
                format!("{target} speaks HTTP, but no gRPC: correct the port, or check it by `http`");
            Failure::theirs("not_grpc", message)
        }
        CheckError::Deadline(_) => Failure::io(&io::ErrorKind::TimedOut.into(), target, THING),
        CheckError::Call(status) => of_call(status, target),
        other => Failure::theirs("protocol_error", format!("{target} gave an answer nobody knows: {other}")),
    }
}

/// Names why a watch gives no status.
pub(super) fn of_watch(watched: &Watched, service: &str, target: &str) -> Failure {
    match watched {
        Watched::Lost { cause, .. } => of_call(cause, target),
        Watched::Unimplemented => unimplemented(target),
        Watched::UnknownService | Watched::Status(_) => unknown_service(service, target),
    }
}

/// Names why no connection came about.
pub(super) fn unreached(error: &(dyn Error + 'static), target: &str) -> Failure {
    if let Some(tls) = find::<rustls::Error>(error) {
        return Failure::handshake(tls, target);
    }
    if let Some(error) = find::<io::Error>(error) {
        return Failure::io(error, target, THING);
    }
    let message =
        format!("{target} does not speak gRPC ({}): correct the port, or http and https", root(error));
    Failure::theirs("protocol_error", message)
}

fn of_call(status: &Status, target: &str) -> Failure {
    // What breaks below gRPC stands in the source; what a server says has none.
    if let Some(source) = status.source()
        && (find::<io::Error>(source).is_some()
            || find::<rustls::Error>(source).is_some()
            || matches!(status.code(), Code::Internal | Code::Unknown))
    {
        return unreached(source, target);
    }
    let advice = match status.code() {
        Code::Ok => return Failure::io(&io::ErrorKind::UnexpectedEof.into(), target, THING),
        Code::Unauthenticated => "give it `metadata` or a certificate that it takes",
        Code::PermissionDenied => "let it allow the health service to this caller",
        Code::ResourceExhausted => "it is overloaded, or limits this caller",
        Code::DeadlineExceeded | Code::Cancelled => "look at its load and at what it waits for",
        Code::InvalidArgument => "correct `service`",
        Code::Unavailable => "look whether it runs and takes calls",
        Code::Internal | Code::Unknown | Code::OutOfRange => {
            "its log says why; or something else listens there"
        }
        _ => "its log says why",
    };
    let message = format!("{target} ends the call with {}: {advice}", name(status.code()).to_uppercase());
    Failure::theirs(format!("grpc_{}", name(status.code())), message)
}

fn unknown_service(service: &str, target: &str) -> Failure {
    let message =
        format!("{target} knows no {}: correct `service`, or let the server register it", of(service));
    Failure::theirs("unknown_service", message)
}

fn unimplemented(target: &str) -> Failure {
    let message = format!("{target} does not offer grpc.health.v1: correct the port, or check it by `tcp`");
    Failure::theirs("unimplemented", message)
}

fn of(service: &str) -> String {
    if service.is_empty() { "health of the whole server".to_owned() } else { format!("service `{service}`") }
}

/// The words of the innermost cause.
pub(super) fn root(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// A code's public name, in lower case.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "ok",
        Code::Cancelled => "cancelled",
        Code::Unknown => "unknown",
        Code::InvalidArgument => "invalid_argument",
        Code::DeadlineExceeded => "deadline_exceeded",
        Code::NotFound => "not_found",
        Code::AlreadyExists => "already_exists",
        Code::PermissionDenied => "permission_denied",
        Code::ResourceExhausted => "resource_exhausted",
        Code::FailedPrecondition => "failed_precondition",
        Code::Aborted => "aborted",
        Code::OutOfRange => "out_of_range",
        Code::Unimplemented => "unimplemented",
        Code::Internal => "internal",
        Code::Unavailable => "unavailable",
        Code::DataLoss => "data_loss",
        Code::Unauthenticated => "unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_reason_and_no_message_repeats_the_servers_words() {
        for (code, reason) in [
            (Code::Unauthenticated, "grpc_unauthenticated"),
            (Code::PermissionDenied, "grpc_permission_denied"),
            (Code::Unavailable, "grpc_unavailable"),
            (Code::Internal, "grpc_internal"),
            (Code::Ok, "connection_closed"),
        ] {
            let failure = of_call(&Status::new(code, "s3cret after 17 ms"), "http://h:1");
            assert_eq!(failure.reason, reason);
            assert!(failure.message.contains("http://h:1") && !failure.message.contains("s3cret"));
        }
    }
}
