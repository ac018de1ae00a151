//! The operator's token: made at the first start, kept in a file that only this user reads, compared in constant
//! time. What it allows is decided by the route table.

mod guesses;

use guesses::Guesses;
use std::fs::{File, OpenOptions, Permissions};
use std::hint::black_box;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// The file's name in the data directory.
const FILE: &str = "operator.token";
/// A token is this long: two random UUIDs without dashes.
const BYTES: usize = 64;

/// The token that `operate` routes ask for.
#[derive(Clone)]
pub struct OperatorToken {
    token: String,
    /// Who showed wrong ones lately.
    guesses: Arc<Guesses>,
}

/// What a token that was shown is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    Right,
    Wrong,
    /// There were too many wrong ones; this one was not looked at.
    TooMany(Duration),
}

impl std::fmt::Debug for OperatorToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorToken(***)")
    }
}

impl OperatorToken {
    /// Reads the token of a data directory; makes it where there is none. A file that others could read is taken
    /// from them, with a warning.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no token.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Self::make(data_dir),
            Err(error) => return Err(named(&path, &error)),
        };
        let mode = file.metadata().map_err(|e| named(&path, &e))?.permissions().mode();
        if mode & 0o077 != 0 {
            tracing::warn!(file = %path.display(), "others could read the operator's token; they no longer can, yet \
                 delete the file for a new token if you do not trust them");
            file.set_permissions(Permissions::from_mode(0o600)).map_err(|e| named(&path, &e))?;
        }
        let mut text = String::new();
        Read::by_ref(&mut file).take(1_024).read_to_string(&mut text).map_err(|e| named(&path, &e))?;
        let token = text.trim();
        if token.len() != BYTES || !token.bytes().all(|b| b.is_ascii_alphanumeric()) {
            let what = io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "is not a token of {BYTES} letters and digits; delete it, a new one is made at the next start"
                ),
            );
            return Err(named(&path, &what));
        }
        Ok(Self::new(token.to_owned()))
    }

    /// Written under another name first, so that a half-written file is never read as a token.
    fn make(data_dir: &Path) -> io::Result<Self> {
        let token = Self::new(format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
        let path = data_dir.join(FILE);
        let half = data_dir.join("operator.token.new");
        let write = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
            file.set_permissions(Permissions::from_mode(0o600))?;
            writeln!(file, "{}", token.token)?;
            file.sync_all()?;
            std::fs::rename(&half, &path)
        };
        write().map_err(|e| named(&path, &e))?;
        Ok(token)
    }

    fn new(token: String) -> Self {
        Self { token, guesses: Arc::default() }
    }

    /// Judges a token that `address` shows. Who guesses from afar is not even listened to after ten wrong ones in
    /// a minute; on this machine the right one always counts, so that no other user can lock the operator out.
    pub(crate) fn judge(&self, given: &[u8], address: Option<IpAddr>, now: Instant) -> Shown {
        let wait = self.guesses.wait(address, now);
        let near = address.is_some_and(|address| address.is_loopback());
        match wait {
            Some(wait) if !near => return Shown::TooMany(wait),
            _ if self.is(given) => return Shown::Right,
            Some(wait) => return Shown::TooMany(wait),
            None => {}
        }
        self.guesses.wrong(address, now);
        Shown::Wrong
    }

    /// Whether this is the token. The time taken tells nothing of where they differ.
    #[must_use]
    pub fn is(&self, given: &[u8]) -> bool {
        let own = self.token.as_bytes();
        let mut difference = usize::from(given.len() != own.len());
        for (at, byte) in own.iter().enumerate() {
            let other = given.get(at).copied().unwrap_or_default();
            difference |= usize::from(black_box(byte ^ other));
        }
        black_box(difference) == 0
    }

    /// The token itself, for those who write it into a request.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.token
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_made_once_and_only_its_owner_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = OperatorToken::open(dir.path()).unwrap();
        let again = OperatorToken::open(dir.path()).unwrap();
        assert_eq!(made.expose(), again.expose());
        let path = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        OperatorToken::open(dir.path()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{made:?}").contains(made.expose()));
    }

    #[test]
    fn a_file_that_holds_no_token_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["", "short", &"x".repeat(BYTES + 1)] {
            std::fs::write(dir.path().join(FILE), bad).unwrap();
            let error = OperatorToken::open(dir.path()).unwrap_err().to_string();
            assert!(error.contains("operator.token") && error.contains("delete it"), "{error}");
        }
    }

    #[test]
    fn wrong_ones_are_limited_and_the_right_one_counts_on_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let token = OperatorToken::open(dir.path()).unwrap();
        let (now, own) = (Instant::now(), token.expose().to_owned());
        for (address, after) in [("10.0.0.7", None), ("127.0.0.1", Some(Shown::Right))] {
            let address = Some(address.parse().unwrap());
            for _ in 0..10 {
                assert_eq!(token.judge(b"wrong", address, now), Shown::Wrong);
            }
            let wait = Shown::TooMany(Duration::from_secs(60));
            assert_eq!(token.judge(b"wrong", address, now), wait);
            assert_eq!(token.judge(own.as_bytes(), address, now), after.unwrap_or(wait));
            let later = now + Duration::from_secs(61);
            assert_eq!(token.judge(own.as_bytes(), address, later), Shown::Right);
        }
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let dir = tempfile::tempdir().unwrap();
        let token = OperatorToken::open(dir.path()).unwrap();
        let own = token.expose().to_owned();
        assert!(token.is(own.as_bytes()));
        for wrong in
            ["", &own[1..], &own[..BYTES - 1], &format!("{own}0"), &own.to_uppercase().replace('A', "B")]
        {
            if wrong != own {
                assert!(!token.is(wrong.as_bytes()), "{wrong}");
            }
        }
    }
}
