//! What went wrong while an action was carried out, in words for people.

use std::error::Error;

/// An action that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What went wrong and what to do.
    pub message: String,
    /// Whether something may have been changed all the same.
    pub touched: bool,
}

impl Failure {
    /// Nothing was changed.
    pub(crate) fn untouched(message: impl Into<String>) -> Self {
        Self { message: message.into(), touched: false }
    }

    /// Something may have been changed.
    pub(crate) fn unsure(message: impl Into<String>) -> Self {
        Self { message: message.into(), touched: true }
    }
}

/// What a request that had no answer died of. The address is left out: it may hold a secret.
pub(crate) fn of_request(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "did not answer in time".to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let cause = printable(&cause.to_string());
    if error.is_connect() { format!("cannot be reached: {cause}") } else { format!("broke off: {cause}") }
}

/// Text of others for one line: no control characters, not long.
pub(crate) fn printable(text: &str) -> String {
    const MOST: usize = 300;
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let clean: String = text.chars().map(clean).skip_while(|c| c.is_whitespace()).take(MOST).collect();
    clean.trim_end().to_owned()
}

/// The body of an answer, not more of it than this.
pub(crate) async fn body(response: reqwest::Response, most: usize) -> Result<Vec<u8>, String> {
    let mut response = response;
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(bytes),
            Ok(Some(chunk)) if bytes.len() + chunk.len() > most => {
                return Err(format!("answered with more than {most} bytes"));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Err(error) => return Err(of_request(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_stay_on_one_line_and_short() {
        assert_eq!(printable(" a\r\nb\u{1b}[31m \u{0} "), "a  b [31m");
        assert_eq!(printable(&"é".repeat(1_000)).chars().count(), 300);
    }
}
