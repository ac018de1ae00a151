//! Keys that several kinds have: the address, which may be a secret as a whole, and the authorities for TLS.

use crate::notify::egress::Egress;
use farol_config::{Map, Secret};
use reqwest::Url;

/// The largest file of certificates.
const MAX_FILE: u64 = 4 << 20;

/// An address that is never shown: its path may be the key to it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Address(pub(super) Url);

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `url` or `url_file`.
pub(super) fn url(m: &mut Map<'_>, default: Option<&str>, egress: &Egress) -> Address {
    let field = m.secret("url").example("https://…").check(|text| parse(text.expose(), egress).map(drop));
    let text = match default {
        Some(default) => field.or(Secret::new(default)),
        None => field.required(),
    };
    parse(text.expose(), egress).unwrap_or_else(|_| stand_in())
}

/// Parses an address; the error does not repeat it.
pub(super) fn parse(text: &str, egress: &Egress) -> Result<Address, String> {
    let url = Url::parse(text.trim()).map_err(|_| "is no web address; write `https://…`".to_owned())?;
    egress.check_url(&url)?;
    Ok(Address(url))
}

/// Takes the place of an address that has its problem already; it is never used.
pub(super) fn stand_in() -> Address {
    Address(Url::parse("http://localhost/").expect("this URL is well formed"))
}

/// `ca`: the authorities that are trusted in the place of the machine's.
pub(super) fn ca(m: &mut Map<'_>) -> Option<Vec<u8>> {
    let path = m.path("ca").optional()?;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(&path)?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_FILE), &mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if reqwest::Certificate::from_pem_bundle(&bytes).is_ok_and(|found| !found.is_empty()) => {
            Some(bytes)
        }
        Ok(_) => {
            m.problem("ca", format!("{} holds no certificate in PEM form", path.display()));
            None
        }
        Err(error) => {
            m.problem("ca", format!("{} cannot be read: {error}", path.display()));
            None
        }
    }
}
