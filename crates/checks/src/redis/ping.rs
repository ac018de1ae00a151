//! PING without a log-in: does a Redis answer? Being asked for a password means that it does.

use super::{THING, reason};
use crate::address::{Address, Stream};
use crate::failure::Failure;
use farol_health::Outcome;
use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Longer lines than this are no answers to PING.
const MAX_LINE: usize = 512;

/// One run in `reachable` mode.
pub(super) async fn ask(address: &Address) -> Outcome {
    match answers(address).await {
        Ok(Answered::Pong) => {
            let mut outcome = Outcome::healthy();
            outcome.message = "answers; give the check a `url` for figures".into();
            outcome
        }
        Ok(Answered::WantsPassword) => {
            let mut outcome = Outcome::healthy();
            outcome.message =
                "answers, and wants a password; give the check a `url` with one for figures".into();
            outcome
        }
        Ok(Answered::Refuses(failure)) | Err(failure) => failure.outcome(),
    }
}

/// What a Redis said to a stranger's PING.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// It speaks with anyone.
    Pong,
    /// It wants to know who we are.
    WantsPassword,
    /// It serves nobody now, being full or still loading.
    Refuses(Failure),
}

/// Asks what listens at `address`; an error when that is no Redis.
pub(crate) async fn answers(address: &Address) -> Result<Answered, Failure> {
    let mut stream = address.connect(THING).await?;
    let line = exchange(&mut *stream).await.map_err(|e| Failure::io(&e, &address.to_string(), THING))?;
    judge(&line, &address.to_string())
}

async fn exchange(stream: &mut dyn Stream) -> io::Result<Vec<u8>> {
    stream.write_all(b"PING\r\n").await?;
    let mut line = Vec::new();
    let mut chunk = [0; MAX_LINE];
    while !line.contains(&b'\n') && line.len() < MAX_LINE {
        match stream.read(&mut chunk).await? {
            0 if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
            0 => break,
            read => line.extend_from_slice(&chunk[..read]),
        }
    }
    Ok(line)
}

fn judge(line: &[u8], target: &str) -> Result<Answered, Failure> {
    let text = String::from_utf8_lossy(line);
    let text = text.lines().next().unwrap_or_default();
    if text == "+PONG" {
        return Ok(Answered::Pong);
    }
    let Some(error) = text.strip_prefix('-') else { return Err(reason::not_redis(target)) };
    let (code, said) = error.split_once(' ').unwrap_or((error, ""));
    match code {
        "NOAUTH" => Ok(Answered::WantsPassword),
        _ => Ok(Answered::Refuses(reason::code_of(code, said, target))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_a_strangers_ping() {
        assert_eq!(judge(b"+PONG\r\n", "c"), Ok(Answered::Pong));
        assert_eq!(judge(b"-NOAUTH Authentication required.\r\n", "c"), Ok(Answered::WantsPassword));
        let table: [(&[u8], &str); 2] = [
            (b"-LOADING Redis is loading the dataset in memory\r\n", "loading"),
            (b"-ERR max number of clients reached\r\n", "too_many_connections"),
        ];
        for (line, reason) in table {
            let Ok(Answered::Refuses(failure)) = judge(line, "c") else { panic!("{reason}") };
            assert_eq!(failure.reason, reason);
        }
        for line in ["HTTP/1.1 400 Bad Request\r\n", ""] {
            assert_eq!(judge(line.as_bytes(), "c").unwrap_err().reason, "not_redis");
        }
    }
}
