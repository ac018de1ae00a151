//! A reader of server-sent events: gives them one by one, and keeps the last id to go on from.

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Its name; `message` where it has none.
    pub name: String,
    /// Its content.
    pub data: Value,
}

impl Event {
    /// A text of its content, empty where there is none.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        self.data[key].as_str().unwrap_or_default()
    }
}

/// An open stream of events.
pub struct Events {
    body: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    /// What came and is not yet a whole event.
    rest: Vec<u8>,
    /// The id of the last event that had one.
    pub last_id: Option<String>,
}

impl Events {
    /// Opens a path of a monitor's HTTP port, going on after `last_id`.
    ///
    /// # Errors
    /// It does not answer with a stream of events.
    pub async fn open(http: SocketAddr, path: &str, last_id: Option<&str>) -> Result<Self> {
        let mut request =
            reqwest::Client::new().get(format!("http://{http}{path}")).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = request.send().await?.error_for_status()?;
        let media = answer.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !media.starts_with("text/event-stream") {
            bail!("{path} is `{media}`, not a stream of events");
        }
        let last_id = last_id.map(str::to_owned);
        Ok(Self { body: answer.bytes_stream().boxed(), rest: Vec::new(), last_id })
    }

    /// The next event; `None` when the monitor ended the stream.
    ///
    /// # Errors
    /// The connection breaks.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(end) = find(&self.rest, b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8(block)?)? {
                    self.last_id = event.id.clone().or(self.last_id.take());
                    return Ok(Some(event));
                }
            }
            match self.body.next().await {
                Some(bytes) => self.rest.extend_from_slice(&bytes?),
                None => return Ok(None),
            }
        }
    }

    /// All events up to the first that is `wanted`, and that one.
    ///
    /// # Errors
    /// It does not come within `limit`; the message names `what` was waited for and what came instead.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Vec<Event>> {
        let end = Instant::now() + limit;
        let mut all = Vec::new();
        loop {
            let Ok(next) = timeout_at(end, self.next()).await else {
                bail!("waited {limit:?} in vain for: {what}; what came: {all:#?}");
            };
            let event = next?.with_context(|| format!("the stream ended before: {what}"))?;
            all.push(event);
            if all.last().is_some_and(&mut wanted) {
                return Ok(all);
            }
        }
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// One block of lines; a comment alone is no event.
fn parse(block: &str) -> Result<Option<Event>> {
    let (mut id, mut name, mut data) = (None, "message".to_owned(), String::new());
    for line in block.lines() {
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match key {
            "id" => id = Some(value.to_owned()),
            "event" => value.clone_into(&mut name),
            "data" => {
                if !data.is_empty() {
                    data.push('\n');
                }
                data.push_str(value);
            }
            _ => {}
        }
    }
    if data.is_empty() {
        return Ok(None);
    }
    let data = serde_json::from_str(&data).with_context(|| format!("the data of `{name}`: {data}"))?;
    Ok(Some(Event { id, name, data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_no_events_and_fields_may_lack_the_space() {
        assert!(parse(": keep-alive\n\n").unwrap().is_none());
        let event = parse("event: blind\nid:a-7\ndata: {\"a\":\ndata: 1}\n\n").unwrap().unwrap();
        assert_eq!((event.name.as_str(), event.id.as_deref()), ("blind", Some("a-7")));
        assert_eq!(event.data["a"], 1);
    }
}
