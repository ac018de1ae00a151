//! `X-Farol-Signature: t=<unix seconds>,v1=<hex>`: HMAC-SHA256 over `<unix seconds>.<body>`, so that a receiver knows
//! who sent it and that it is not an old one sent again.

use aws_lc_rs::hmac;
use std::fmt::Write as _;

/// The header's name.
pub const SIGNATURE_HEADER: &str = "x-farol-signature";

/// The header's value.
#[must_use]
pub fn sign(secret: &str, unix_s: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{unix_s}.").as_bytes());
    context.update(body);
    let mut value = format!("t={unix_s},v1=");
    for byte in context.sign().as_ref() {
        write!(value, "{byte:02x}").expect("writing to a text cannot fail");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_another_program_computes() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac s3cret
        let expected = "1698a50bc74d1ff1db85c4e0a5297c2ad9fdba245d5737cdb789e4cc6e098940";
        assert_eq!(sign("s3cret", 1_700_000_000, br#"{"a":1}"#), format!("t=1700000000,v1={expected}"));
    }
}
