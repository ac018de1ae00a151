//! The start-up handshake without a log-in: does the server accept connections? As `pg_isready`: being asked
//! for a password, or being told that role or database do not exist, means that it does.

use super::THING;
use super::reason::{self, Words};
use crate::address::{Address, Stream};
use crate::failure::Failure;
use farol_health::Outcome;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer answers than this are no answers of PostgreSQL to a start-up message.
const MAX_ANSWER: usize = 8 * 1024;

/// One run in `reachable` mode.
pub(super) async fn ask(address: &Address) -> Outcome {
    match answers(address).await {
        Ok(Answered::Accepts) => {
            let mut outcome = Outcome::healthy();
            outcome.message =
                "accepts connections; give the check a `url` with a user for queries and figures".into();
            outcome
        }
        Ok(Answered::Refuses(failure)) | Err(failure) => failure.outcome(),
    }
}

/// What a PostgreSQL said to a stranger's start-up message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It would let the right user in.
    Accepts,
    /// It lets nobody in now, being full, or about to start or stop.
    Refuses(Failure),
}

/// Asks what listens at `address`; an error when that is no PostgreSQL.
pub(crate) async fn answers(address: &Address) -> Result<Answered, Failure> {
    let mut stream = address.connect(THING).await?;
    let answer = exchange(&mut *stream).await.map_err(|e| Failure::io(&e, &address.to_string(), THING))?;
    judge(&answer, &address.to_string())
}

/// A message of the server: its type and its body.
struct Answer {
    kind: u8,
    body: Vec<u8>,
}

async fn exchange(stream: &mut dyn Stream) -> io::Result<Answer> {
    stream.write_all(&startup()).await?;
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    let size = usize::try_from(length).unwrap_or(usize::MAX).wrapping_sub(4);
    if !matches!(kind, b'R' | b'E') || size > MAX_ANSWER {
        return Ok(Answer { kind: 0, body: Vec::new() });
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await?;
    // Terminate; a server that has gone already has told what we wanted to know.
    drop(stream.write_all(&[b'X', 0, 0, 0, 4]).await);
    Ok(Answer { kind, body })
}

/// StartupMessage of protocol 3.0.
fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0farol\0database\0postgres\0application_name\0farol\0\0";
    let length = u32::try_from(body.len() + 4).expect("a constant of a few bytes");
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(body);
    message
}

fn judge(answer: &Answer, target: &str) -> Result<Answered, Failure> {
    match answer.kind {
        b'R' => Ok(Answered::Accepts),
        b'E' => {
            let code = field(&answer.body, b'C').unwrap_or_default();
            let said = field(&answer.body, b'M').unwrap_or_default();
            let detail = field(&answer.body, b'D').unwrap_or_default();
            if code.starts_with("28") || code == "3D000" {
                return Ok(Answered::Accepts);
            }
            let words = Words { said: &said, detail: &detail };
            Ok(Answered::Refuses(reason::sqlstate(&code, words, target)))
        }
        _ => Err(Failure::theirs(
            "not_postgres",
            format!("what listens at {target} does not answer as PostgreSQL does"),
        )),
    }
}

/// A field of an ErrorResponse: a byte that names it, text, NUL.
fn field(body: &[u8], name: u8) -> Option<String> {
    let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&name))?;
    Some(String::from_utf8_lossy(found.get(1..)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str) -> Answer {
        let body = format!("SFATAL\0VFATAL\0C{code}\0Msorry\0Fpostmaster.c\0\0").into_bytes();
        Answer { kind: b'E', body }
    }

    #[test]
    fn a_server_that_wants_a_password_accepts_connections() {
        assert_eq!(judge(&Answer { kind: b'R', body: vec![0, 0, 0, 10] }, "db"), Ok(Answered::Accepts));
        assert_eq!(judge(&error("28000"), "db"), Ok(Answered::Accepts));
        assert_eq!(judge(&error("3D000"), "db"), Ok(Answered::Accepts));
    }

    #[test]
    fn a_server_that_accepts_nobody_is_told_apart_from_another_server() {
        for (code, reason) in [("57P03", "not_accepting"), ("53300", "too_many_connections")] {
            let Ok(Answered::Refuses(failure)) = judge(&error(code), "db") else { panic!("{code}") };
            assert_eq!(failure.reason, reason);
        }
        assert_eq!(judge(&Answer { kind: 0, body: vec![] }, "db").unwrap_err().reason, "not_postgres");
    }

    #[tokio::test]
    async fn an_answer_that_claims_to_be_huge_is_not_read() {
        for length in [[0u8, 0, 0, 0], [0xff; 4], [0, 0x10, 0, 0]] {
            let (mut ours, mut theirs) = tokio::io::duplex(256);
            let server = async move {
                let mut request = vec![0; startup().len()];
                theirs.read_exact(&mut request).await.unwrap();
                theirs.write_all(b"E").await.unwrap();
                theirs.write_all(&length).await.unwrap();
                theirs
            };
            let (answer, _theirs) = tokio::join!(exchange(&mut ours), server);
            assert_eq!(answer.unwrap().kind, 0);
        }
    }
}
