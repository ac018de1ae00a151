//! Where the local API listens, as it is written: an address on loopback, or `unix:` and a path. Pure.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Where the local API listens. There is no way to say a place beyond this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A port on loopback.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(PathBuf),
}

/// Why a text is not such a place, and what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotLocal {
    /// Other machines could reach it.
    #[error("it is for this machine only; write an address on loopback")]
    Beyond,
    /// A path from nowhere.
    #[error("the path of the socket must begin with `/`, as in `unix:/run/farol/local.sock`")]
    HalfPath,
    /// Neither.
    #[error("it is neither an address nor `unix:` and a path")]
    NoAddress,
}

impl FromStr for Local {
    type Err = NotLocal;

    fn from_str(text: &str) -> Result<Self, NotLocal> {
        if let Some(path) = text.strip_prefix("unix:") {
            let whole = path.starts_with('/') && path.len() > 1 && !path.contains('\0');
            return if whole { Ok(Self::Unix(path.into())) } else { Err(NotLocal::HalfPath) };
        }
        let address = match text.strip_prefix("localhost:") {
            Some(port) => port.parse().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).ok(),
            None => text.parse().ok(),
        };
        let address: SocketAddr = address.ok_or(NotLocal::NoAddress)?;
        if address.ip().to_canonical().is_loopback() { Ok(Self::Tcp(address)) } else { Err(NotLocal::Beyond) }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_on_this_machine_are_read() {
        for good in ["127.0.0.1:8512", "127.0.0.9:0", "[::1]:8512", "unix:/run/farol/local.sock"] {
            assert_eq!(good.parse::<Local>().unwrap().to_string(), good);
        }
        assert_eq!("localhost:8512".parse::<Local>().unwrap().to_string(), "127.0.0.1:8512");
        for (bad, why) in [
            ("0.0.0.0:8512", NotLocal::Beyond),
            ("[::]:8512", NotLocal::Beyond),
            ("10.0.0.1:8512", NotLocal::Beyond),
            ("[::ffff:10.0.0.1]:8512", NotLocal::Beyond),
            ("unix:local.sock", NotLocal::HalfPath),
            ("unix:", NotLocal::HalfPath),
            ("unix:/", NotLocal::HalfPath),
            ("unix:/a\0b", NotLocal::HalfPath),
            ("/run/farol.sock", NotLocal::NoAddress),
            ("8512", NotLocal::NoAddress),
            ("example.org:8512", NotLocal::NoAddress),
            ("localhost:x", NotLocal::NoAddress),
            ("", NotLocal::NoAddress),
        ] {
            assert_eq!(bad.parse::<Local>(), Err(why), "{bad}");
        }
    }
}
