//! Scaling by someone else: one signed POST says what is wanted. It is never repeated, because the other side may have
//! acted on one that had no answer.

use super::failure::{self, Failure};
use super::guard::{Limit, Refusal};
use super::kubernetes::Stop;
use super::scale::{Amount, Bounds};
use crate::notify::receivers::{SIGNATURE, sign};
use farol_config::{Secret, Url};
use farol_rules::AlertId;
use reqwest::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The largest answer.
const MOST: usize = 64 << 10;

/// Who scales.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to.
    pub url: Url,
    /// Signs what is sent.
    pub secret: Secret,
    /// For the answer.
    pub deadline: Duration,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Operation {
    /// More or fewer.
    Scale,
    /// As many as before, unless someone else changed it meanwhile.
    RollBack,
}

/// What is sent.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Order<'o> {
    /// Of the run: the same for its roll back.
    pub id: &'o str,
    /// What is wanted.
    pub operation: Operation,
    /// The action's name.
    pub action: &'o str,
    /// Why.
    pub alert: &'o AlertId,
    /// Which incident.
    pub incident: &'o str,
    /// By how much; `None` leaves it to the other side.
    #[serde(serialize_with = "as_text")]
    pub by: Option<Amount>,
    /// There must be no fewer.
    pub min: u32,
    /// There must be no more.
    pub max: u32,
    /// Replicas before the run, in a roll back.
    pub before: Option<u32>,
    /// Replicas after the run, in a roll back.
    pub after: Option<u32>,
}

impl Order<'_> {
    /// Tells a copy: a roll back is another order than its run.
    fn key(&self) -> String {
        match self.operation {
            Operation::Scale => self.id.to_owned(),
            Operation::RollBack => format!("{}-roll_back", self.id),
        }
    }
}

fn as_text<S: serde::Serializer>(by: &Option<Amount>, serializer: S) -> Result<S::Ok, S::Error> {
    by.map(|by| by.to_string()).serialize(serializer)
}

/// What the other side may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Said {
    /// Replicas before.
    pub before: Option<u32>,
    /// Replicas from now on.
    pub after: Option<u32>,
}

/// Sends the order. The client must follow no redirects: a signed order is for one receiver.
///
/// # Errors
/// It is refused, has no answer, or what was done is out of the bounds.
pub(super) async fn send(
    client: &reqwest::Client,
    webhook: &Webhook,
    order: &Order<'_>,
    unix_s: i64,
) -> Result<Said, Stop> {
    let body = serde_json::to_vec(order)
        .map_err(|error| Failure::untouched(format!("the order cannot be written: {error}")))?;
    let signature = sign(&webhook.secret, unix_s, &body);
    let request = client
        .post(webhook.url.expose())
        .timeout(webhook.deadline)
        .header(CONTENT_TYPE, "application/json")
        .header(SIGNATURE, signature)
        .header("idempotency-key", order.key())
        .body(body);
    let sent = request.send().await;
    let response = sent.map_err(|error| Failure {
        message: format!("the webhook {}", failure::of_request(&error)),
        touched: !error.is_connect() && !error.is_builder(),
    })?;
    let status = response.status();
    let touched = !status.is_client_error() && !status.is_redirection();
    if !status.is_success() {
        // Its words stay out: what is known of an attempt is read by many, and a receiver may echo what it was sent.
        return Err(Failure { message: format!("the webhook answered {}", status.as_u16()), touched }.into());
    }
    let bytes =
        failure::body(response, MOST).await.map_err(|why| Failure::unsure(format!("the webhook {why}")))?;
    judge(&bytes, order)
}

/// An answer without a body, or with one that says nothing of replicas, is taken as it is.
fn judge(bytes: &[u8], order: &Order<'_>) -> Result<Said, Stop> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Said::default());
    }
    let said: Said = serde_json::from_slice(bytes)
        .map_err(|_| Failure::unsure("the webhook answered with something other than a JSON object"))?;
    let bounds = Bounds { min: order.min, max: order.max };
    match (said.before, said.after) {
        (Some(before), Some(after)) if before == after && order.operation == Operation::Scale => {
            let limit = if after <= bounds.min { Limit::Min(bounds.min) } else { Limit::Max(bounds.max) };
            Err(Stop::Refused(Refusal::AtLimit { replicas: after, limit }))
        }
        (_, Some(after))
            if order.operation == Operation::Scale && !(bounds.min..=bounds.max).contains(&after) =>
        {
            Err(Failure::unsure(format!(
                "the webhook made it {after} replicas, outside {} to {}",
                bounds.min, bounds.max
            ))
            .into())
        }
        _ => Ok(said),
    }
}
