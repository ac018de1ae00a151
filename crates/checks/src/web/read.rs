//! The keys that every kind with a web address has: `url`, `headers`, `ca`, `cert`, `key`, `redirects`.

use super::{MAX_REDIRECTS, Request};
use crate::trust;
use farol_config::Map;

/// Reads the keys; also gives all of it as text, secrets included, to tell a change. `None` after a problem.
pub(crate) fn read(m: &mut Map<'_>, example: &str) -> Option<(Request, String)> {
    let url = m.url("url").example(example).check(|url| Request::to(url.expose()).map(drop)).required();
    let mut text = url.expose().to_owned();
    let trust = trust::read(m);
    let redirects = m.integer::<u8>("redirects").within(0..=MAX_REDIRECTS).or(0);
    text.push_str(&format!("\n{} {redirects}", trust.text()));
    let mut request = Request::to(url.expose()).ok()?.trust(trust).redirects(redirects);
    for (name, value) in m.secret_pairs("headers") {
        text.push_str(&format!("\n{name}: {}", value.expose()));
        match request.clone().header(&name, value.expose()) {
            Ok(with) => request = with,
            Err(message) => m.problem("headers", message),
        }
    }
    Some((request, text))
}
