//! The server that the agent checks: a path for each check, which answers 204, or 503 while it is told to fail. Notes
//! when the first failing answer of each was handed to the kernel: not before that can a check see a failure.

use crate::clock::now_ns;
use parking_lot::Mutex;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// No request of a check is longer.
const LONGEST: usize = 8 << 10;

/// The name of a check, its path's too.
pub(super) fn name(number: usize) -> String {
    format!("part-{number}")
}

/// When something failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) at_ns: u64,
    pub(super) wall_ms: i64,
}

/// What a path answers.
#[derive(Clone, Copy, Debug)]
enum Path {
    Well,
    /// The next answer fails.
    ToFail,
    /// And every one since then.
    Failing(Failed),
}

/// The running server; it ends with this.
pub(super) struct Checked {
    paths: Arc<Mutex<Vec<Path>>>,
    address: SocketAddr,
    _server: JoinSet<()>,
}

impl Checked {
    pub(super) async fn listen(paths: usize) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (address, paths) = (listener.local_addr()?, Arc::new(Mutex::new(vec![Path::Well; paths])));
        let mut server = JoinSet::new();
        let known = Arc::clone(&paths);
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(answer(connection, Arc::clone(&known)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { paths, address, _server: server })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next answer on this path fails.
    pub(super) fn fail(&self, number: usize) {
        self.paths.lock()[number] = Path::ToFail;
    }

    pub(super) fn mend(&self, number: usize) {
        self.paths.lock()[number] = Path::Well;
    }

    /// When it failed first, if it has.
    pub(super) fn failed(&self, number: usize) -> Option<Failed> {
        match self.paths.lock()[number] {
            Path::Failing(failed) => Some(failed),
            Path::Well | Path::ToFail => None,
        }
    }
}

/// One request; the connection ends with its answer, and with whatever is no request of a check.
async fn answer(mut connection: TcpStream, paths: Arc<Mutex<Vec<Path>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let read = connection.read_buf(&mut head).await;
        if !read.is_ok_and(|read| read > 0) || head.len() > LONGEST {
            return;
        }
    }
    let text = String::from_utf8_lossy(&head);
    let asked = text.split(' ').nth(1).and_then(|path| path.strip_prefix("/part-"));
    let Some(number) = asked.and_then(|number| number.parse::<usize>().ok()) else { return };
    let status = match fails(&paths, number) {
        true => "503 Service Unavailable",
        false => "204 No Content",
    };
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    // Whoever is gone by now has no answer.
    drop(connection.write_all(response.as_bytes()).await);
}

/// Whether this answer fails; the first one that does is noted.
fn fails(paths: &Mutex<Vec<Path>>, number: usize) -> bool {
    let mut paths = paths.lock();
    let Some(path) = paths.get_mut(number) else { return false };
    if matches!(path, Path::ToFail) {
        let wall_ms = jiff::Timestamp::now().as_millisecond();
        *path = Path::Failing(Failed { at_ns: now_ns(), wall_ms });
    }
    matches!(path, Path::Failing(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_fails_when_it_is_told_to_and_the_first_time_is_noted() {
        let checked = Checked::listen(2).await.unwrap();
        let ask = async |number: usize| {
            let mut connection = TcpStream::connect(checked.address()).await.unwrap();
            let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", name(number));
            connection.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(ask(1).await, "204");
        checked.fail(1);
        assert!(checked.failed(1).is_none(), "nobody has asked");
        assert_eq!((ask(1).await, ask(0).await), ("503".to_owned(), "204".to_owned()));
        let first = checked.failed(1).unwrap().at_ns;
        assert_eq!(ask(1).await, "503");
        assert_eq!(checked.failed(1).unwrap().at_ns, first);
        checked.mend(1);
        assert_eq!(ask(1).await, "204");
    }
}
