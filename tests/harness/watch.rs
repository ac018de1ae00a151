//! A watcher of `grpc.health.v1`, as a look-aside client would be.

use anyhow::{Context, Result, bail};
use farol_health::grpc::ServingStatus;
use farol_health::grpc::client::{self, Retry, Watched};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::transport::{Channel, Endpoint};

/// A watched name.
pub struct Watch {
    words: BoxStream<'static, Watched>,
}

impl Watch {
    /// Begins to watch `name` at a health port.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn begin(health: SocketAddr, name: &str) -> Result<Self> {
        let retry = Retry { first: Duration::from_millis(50), most: Duration::from_millis(200) };
        Ok(Self { words: client::watch(channel(health).await?, name, retry).boxed() })
    }

    /// The next word.
    ///
    /// # Errors
    /// None comes within `limit`.
    pub async fn next(&mut self, limit: Duration) -> Result<Watched> {
        let word = tokio::time::timeout(limit, self.words.next()).await.context("the watch says nothing")?;
        word.context("the watch is over")
    }

    /// Waits until it says `status`; every other word before that one must be in `on_the_way`.
    ///
    /// # Errors
    /// Another word comes, or none within `limit`.
    pub async fn becomes(
        &mut self,
        status: ServingStatus,
        on_the_way: &[ServingStatus],
        limit: Duration,
    ) -> Result<()> {
        let end = Instant::now() + limit;
        loop {
            let Ok(word) = timeout_at(end, self.words.next()).await else {
                bail!("the watch did not say {status:?} within {limit:?}");
            };
            match word.context("the watch is over")? {
                Watched::Status(now) if now == status => return Ok(()),
                Watched::Status(now) if on_the_way.contains(&now) => {}
                other => bail!("the watch said {other:?} instead of {status:?}"),
            }
        }
    }
}

/// A connection to a gRPC port in plain text.
///
/// # Errors
/// Nobody listens there.
pub async fn channel(address: SocketAddr) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect().await?)
}

/// What Check says of `name`.
///
/// # Errors
/// It says no status.
pub async fn check(health: SocketAddr, name: &str) -> Result<ServingStatus> {
    Ok(client::check(channel(health).await?, name, Duration::from_secs(2)).await?)
}
