//! The scale sub-resource of a Deployment or StatefulSet, read and patched through the API server. Decides how a
//! conflict is met (a fresh read, a fresh decision) and what a failure means; how many replicas is the caller's.

mod access;
mod workload;

use super::Recorded;
use super::failure::{self, Failure, printable};
use super::guard::Refusal;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;

pub use access::{Access, CA_FILE, TOKEN_FILE};
pub use workload::{Workload, WorkloadKind};

/// How often a write that met another's is tried again.
const ATTEMPTS: u32 = 6;

/// The pause before the second attempt; doubled from there.
const PAUSE: Duration = Duration::from_millis(50);

/// The largest answer; a Scale is some hundred bytes.
const MOST: usize = 1 << 20;

/// A Scale as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scale {
    /// As many as are wanted.
    pub replicas: u32,
    /// Which object: one that was deleted and made again is another.
    pub uid: String,
    /// Which version of it.
    version: String,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    /// Replicas before.
    pub before: u32,
    /// Replicas from now on.
    pub after: u32,
    /// Of which object.
    pub uid: String,
}

/// Why nothing is changed, or not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It was decided so.
    Refused(Refusal),
    /// Someone else changed it meanwhile.
    ChangedByOthers {
        /// As many as there are.
        replicas: u32,
    },
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Reads the scale.
///
/// # Errors
/// The API server refuses, cannot be reached or makes no sense.
pub(super) async fn read(access: &Access, workload: &Workload) -> Result<Scale, Failure> {
    let call = access.call().await.map_err(Failure::untouched)?;
    let sent = call.get(&workload.path()).send().await;
    let response = sent.map_err(|error| Failure::untouched(unreachable(&error)))?;
    let status = response.status();
    let bytes = body(response).await.map_err(Failure::untouched)?;
    if !status.is_success() {
        return Err(Failure::untouched(refused(status, &bytes, workload, "get")));
    }
    parse(&bytes).ok_or_else(|| {
        Failure::untouched(format!("the API server's answer on {workload} is no Scale; is its URL right?"))
    })
}

/// Reads, decides, waits until what is about to be done is recorded, and writes; again from the start when someone else
/// wrote in between.
///
/// # Errors
/// The decision stops it, or the API server does.
pub(super) async fn change(
    access: &Access,
    workload: &Workload,
    recorded: &Recorded,
    mut decide: impl FnMut(&Scale) -> Result<u32, Stop>,
) -> Result<Changed, Stop> {
    let mut pause = PAUSE;
    for attempt in 1..=ATTEMPTS {
        let scale = read(access, workload).await?;
        let after = decide(&scale)?;
        recorded().await;
        if write(access, workload, &scale, after).await? {
            return Ok(Changed { before: scale.replicas, after, uid: scale.uid });
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }
    let message = format!("{workload} was changed by others each time it was to be scaled; nothing was done");
    Err(Stop::Failed(Failure::untouched(message)))
}

/// Writes over exactly this version; `false` when it is not the latest any more.
async fn write(access: &Access, workload: &Workload, scale: &Scale, replicas: u32) -> Result<bool, Failure> {
    let patch = json!({
        "metadata": {"uid": scale.uid, "resourceVersion": scale.version},
        "spec": {"replicas": replicas},
    });
    let call = access.call().await.map_err(Failure::untouched)?;
    let sent = call.merge_patch(&workload.path(), patch.to_string()).send().await;
    let response = sent.map_err(|error| {
        // A connection that never stood carried nothing.
        Failure { message: unreachable(&error), touched: !error.is_connect() }
    })?;
    let status = response.status();
    if status == StatusCode::CONFLICT {
        return Ok(false);
    }
    if status.is_client_error() || status.is_redirection() {
        let bytes = body(response).await.unwrap_or_default();
        return Err(Failure::untouched(refused(status, &bytes, workload, "patch")));
    }
    let bytes = body(response).await.map_err(Failure::unsure)?;
    if !status.is_success() {
        return Err(Failure::unsure(refused(status, &bytes, workload, "patch")));
    }
    match parse(&bytes) {
        Some(now) if now.replicas == replicas => Ok(true),
        Some(now) => Err(Failure::unsure(format!(
            "{workload} was to have {replicas} replicas and has {} after the write; does an admission webhook \
             change it?",
            now.replicas
        ))),
        None => Err(Failure::unsure(format!("the API server's answer on {workload} is no Scale"))),
    }
}

fn parse(bytes: &[u8]) -> Option<Scale> {
    let scale: Value = serde_json::from_slice(bytes).ok()?;
    let text = |key: &str| scale["metadata"][key].as_str().map(str::to_owned);
    if scale["kind"] != "Scale" {
        return None;
    }
    // The API leaves a zero out.
    let replicas = match &scale["spec"]["replicas"] {
        Value::Null => 0,
        number => u32::try_from(number.as_u64()?).ok()?,
    };
    Some(Scale { replicas, uid: text("uid")?, version: text("resourceVersion")? })
}

async fn body(response: Response) -> Result<Vec<u8>, String> {
    failure::body(response, MOST).await.map_err(|why| format!("the API server {why}"))
}

fn unreachable(error: &reqwest::Error) -> String {
    format!("the API server {}", failure::of_request(error))
}

/// A refusal with the API server's own words.
fn refused(status: StatusCode, bytes: &[u8], workload: &Workload, verb: &str) -> String {
    let said: Option<Value> = serde_json::from_slice(bytes).ok();
    let said = said.and_then(|said| said["message"].as_str().map(printable)).unwrap_or_default();
    let advice = match status {
        StatusCode::UNAUTHORIZED => "is the token valid?".to_owned(),
        StatusCode::FORBIDDEN => {
            format!("allow `{verb}` on `{}/scale` to the monitor's service account", workload.kind.plural())
        }
        StatusCode::NOT_FOUND => "is its name right?".to_owned(),
        _ => String::new(),
    };
    let parts = [said, advice];
    let rest: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let rest = rest.join("; ");
    let colon = if rest.is_empty() { "" } else { ": " };
    format!("the API server answered {} on {workload}{colon}{rest}", status.as_u16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_that_is_left_out_is_a_zero_and_anything_else_is_no_scale() {
        let scale = |spec: &str| {
            parse(
                format!(r#"{{"kind":"Scale","metadata":{{"uid":"u","resourceVersion":"7"}},"spec":{spec}}}"#)
                    .as_bytes(),
            )
            .map(|scale| scale.replicas)
        };
        assert_eq!(scale(r#"{"replicas":3}"#), Some(3));
        assert_eq!(scale("{}"), Some(0));
        for spec in [r#"{"replicas":-1}"#, r#"{"replicas":"3"}"#, r#"{"replicas":4294967296}"#] {
            assert_eq!(scale(spec), None, "{spec}");
        }
        assert_eq!(parse(b"<html>"), None);
        assert_eq!(parse(br#"{"kind":"Status","metadata":{},"spec":{}}"#), None);
    }

    #[test]
    fn a_refusal_says_what_to_allow() {
        let workload = Workload::parse(WorkloadKind::Deployment, "shop/pay").unwrap();
        let said = br#"{"kind":"Status","message":"deployments.apps \"pay\" is\nforbidden"}"#;
        assert_eq!(
            refused(StatusCode::FORBIDDEN, said, &workload, "patch"),
            "the API server answered 403 on deployment shop/pay: deployments.apps \"pay\" is forbidden; allow \
             `patch` on `deployments/scale` to the monitor's service account"
        );
        assert_eq!(
            refused(StatusCode::BAD_GATEWAY, b"<html>", &workload, "get"),
            "the API server answered 502 on deployment shop/pay"
        );
    }
}
