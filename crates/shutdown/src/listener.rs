//! The guarded listener that every server uses: HTTP/1 and HTTP/2 on one port, caps, deadlines, TLS with
//! a peer identity, counts by reason, and an end inside the drain budget. Knows no route and no message.

mod accept;
mod access;
mod admission;
mod alarm;
mod bind;
mod connection;
mod greeting;
mod handler;
mod http2_frames;
mod limits;
mod peer;
mod pulse;
mod serve;
mod stats;
mod tls;
mod watched;

pub use accept::Accept;
pub use access::{Access, Denied};
pub use bind::{BindError, bind};
pub use handler::{BoxError, Handler};
pub use limits::Limits;
pub use peer::{Peer, TlsIdentity};
pub use serve::serve;
pub use stats::{Closed, Refused, Stats};
pub use tls::{IdentityError, Reread, Tls, TlsError, client_tls, identity_of, verify_files};
