//! Numbers with units: durations, sizes, percentages. Decides how they are written and read back; does not
//! decide which are sensible.

use std::time::Duration;

const NANOS: &[(&str, u128)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const BYTES: &[(&str, u128)] = &[
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

/// The longest text that can be a quantity.
const LONGEST: usize = 64;

/// `10s`, `500ms`, `1h30m`, `1.5s`; a lone `0` needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (amount, unit, left) = amount_and_unit(rest)?;
        let (_, scale) = NANOS.iter().find(|(name, _)| *name == unit)?;
        nanos = nanos.checked_add(scaled(amount, *scale)?)?;
        rest = left;
    }
    let seconds = u64::try_from(nanos / 1_000_000_000).ok()?;
    let part = u32::try_from(nanos % 1_000_000_000).ok()?;
    (!text.is_empty()).then(|| Duration::new(seconds, part))
}

/// The shortest text that [`duration`] reads back as the same.
pub(crate) fn duration_text(value: Duration) -> String {
    let nanos = value.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    whole_units(nanos, NANOS)
}

/// `20GB`, `256 MiB`, `1048576`.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (amount, unit, left) = amount_and_unit(text)?;
    let scale = match unit {
        "" => 1,
        _ => BYTES.iter().find(|(name, _)| *name == unit)?.1,
    };
    if !left.is_empty() {
        return None;
    }
    u64::try_from(scaled(amount, scale)?).ok()
}

/// The shortest text that [`bytes`] reads back as the same.
pub(crate) fn bytes_text(value: u64) -> String {
    if value == 0 {
        return "0B".to_owned();
    }
    whole_units(u128::from(value), BYTES)
}

/// `30%` or `30`.
pub(crate) fn percent(text: &str) -> Option<f64> {
    number(text.strip_suffix('%').unwrap_or(text).trim_end())
}

/// A finite number of YAML's core schema: `3`, `-0.5`, `1e3`.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|value: &f64| digits && value.is_finite())
}

/// A whole number of YAML's core schema: `3`, `-3`, `0x1f`, `0o17`.
pub(crate) fn whole(text: &str) -> Option<i128> {
    let radix = |rest: &str, radix| {
        rest.bytes()
            .all(|b| b.is_ascii_alphanumeric())
            .then(|| i128::from_str_radix(rest, radix).ok())
            .flatten()
    };
    match text.get(..2) {
        Some("0x") => radix(&text[2..], 16),
        Some("0o") => radix(&text[2..], 8),
        _ => text.parse().ok(),
    }
}

/// The largest unit that divides it.
fn whole_units(value: u128, units: &[(&str, u128)]) -> String {
    units
        .iter()
        .find(|(_, scale)| value.is_multiple_of(*scale))
        .map_or_else(|| value.to_string(), |(unit, scale)| format!("{}{unit}", value / scale))
}

/// Splits `1.5s…` into `1.5`, `s` and the rest. A space may stand between number and unit.
fn amount_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    if text.len() > LONGEST {
        return None;
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (amount, rest) = text.split_at(digits);
    let rest = rest.trim_start_matches(' ');
    let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    amount.bytes().any(|b| b.is_ascii_digit()).then_some((amount, unit, rest))
}

/// A decimal number of units, exactly; `None` when it does not come out whole or is too large.
fn scaled(amount: &str, scale: u128) -> Option<u128> {
    let (whole, part) = amount.split_once('.').unwrap_or((amount, ""));
    let part = part.trim_end_matches('0');
    if part.contains('.') || part.len() > 12 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut value = whole.checked_mul(scale)?;
    if !part.is_empty() {
        let tens = 10_u128.pow(u32::try_from(part.len()).ok()?);
        let product = part.parse::<u128>().ok()?.checked_mul(scale)?;
        value = value.checked_add(product.is_multiple_of(tens).then_some(product / tens)?)?;
    }
    Some(value)
}

#[cfg(test)]
mod tests;
