//! Opens the local API's socket. Decides that the file of a Unix socket is the user's and the group's, that one left
//! behind by a process that is gone is replaced, and that nothing else is ever removed.

use super::Local;
use anyhow::{Context, bail};
use farol_shutdown::listener::{Accept, bind};
use std::fs::{Permissions, remove_file, set_permissions, symlink_metadata};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Read and write for the user and the group: to connect takes writing.
const MODE: u32 = 0o660;

/// An open socket of either kind.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Listener {
    /// Opens it. Needs a tokio runtime.
    pub(crate) fn open(local: &Local) -> anyhow::Result<Self> {
        match local {
            Local::Tcp(address) => Ok(Self::Tcp(bind(*address)?)),
            Local::Unix(path) => Ok(Self::Unix(UnixSocket::open(path)?)),
        }
    }

    /// The port, where there is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

/// A Unix socket whose file goes with it.
pub(crate) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Tells the file from one that another process put in its place.
    inode: Option<u64>,
}

impl UnixSocket {
    fn open(path: &Path) -> anyhow::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path).with_context(|| {
            format!("{} cannot be made; its folder must exist and be writable", path.display())
        })?;
        set_permissions(path, Permissions::from_mode(MODE))
            .with_context(|| format!("{} cannot be given to its group", path.display()))?;
        let inode = symlink_metadata(path).ok().map(|file| file.ino());
        Ok(Self { listener, path: path.to_owned(), inode })
    }
}

/// A socket where nobody answers any more is removed; anything else stays and is an error.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    let Ok(file) = symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !file.file_type().is_socket() {
        bail!("{shown} is there and is no socket; remove it, or choose another path");
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            remove_file(path).with_context(|| format!("{shown} is left over; remove it"))
        }
        Ok(_) => bail!("another process listens on {shown}; stop it, or choose another path"),
        Err(error) => Err(error).with_context(|| format!("{shown} is there; remove it")),
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if symlink_metadata(&self.path).ok().map(|file| file.ino()) == self.inode {
            // Gone already is as good.
            remove_file(&self.path).ok();
        }
    }
}

impl Accept for UnixSocket {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, _) = self.listener.accept().await?;
        Ok((stream, here()))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(here())
    }
}

/// A peer on a Unix socket has no address; it is on this machine.
fn here() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_file_is_the_groups_goes_with_the_socket_and_only_a_dead_one_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("local.sock");
        let open = || UnixSocket::open(&path);
        let first = open().unwrap();
        assert_eq!(symlink_metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let error = open().err().unwrap().to_string();
        assert!(error.contains("another process listens"), "{error}");
        drop(first);
        assert!(!path.exists());
        // Left behind, as by `kill -9`.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = open().unwrap();
        remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        drop(second);
        assert!(path.exists(), "another's file is left alone");
        let error = open().err().unwrap().to_string();
        assert!(error.contains("is no socket"), "{error}");
        let nowhere = UnixSocket::open(&dir.path().join("no/such/folder")).err().unwrap().to_string();
        assert!(nowhere.contains("its folder must exist"), "{nowhere}");
    }
}
