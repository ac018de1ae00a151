//! The types of records that may be asked for, and the one way in which each record is written, so that what is
//! expected and what came can be compared. Pure.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name this one stands for.
    Cname,
    /// Mail servers: `10 mail.example`.
    Mx,
    /// Name servers.
    Ns,
    /// Servers of a service: `10 5 5060 sip.example` (priority, weight, port, name).
    Srv,
    /// Texts.
    Txt,
}

/// Every type, its name and its number on the wire.
pub(super) const ALL: [(&str, RecordType, u16); 7] = [
    ("A", RecordType::A, 1),
    ("AAAA", RecordType::Aaaa, 28),
    ("CNAME", RecordType::Cname, 5),
    ("MX", RecordType::Mx, 15),
    ("NS", RecordType::Ns, 2),
    ("SRV", RecordType::Srv, 33),
    ("TXT", RecordType::Txt, 16),
];

impl RecordType {
    pub(super) fn number(self) -> u16 {
        ALL.iter().find(|(_, kind, _)| *kind == self).map_or(0, |(_, _, number)| *number)
    }

    /// The normal form of a record as people write it.
    pub(super) fn normal(self, text: &str) -> Result<String, String> {
        let wrong = |example: &str| format!("`{text}` is no {self} record; write for instance `{example}`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let numbers = |count: usize| {
            let read: Option<Vec<String>> =
                words[..count].iter().map(|word| Some(word.parse::<u16>().ok()?.to_string())).collect();
            read.map(|read| read.join(" "))
        };
        match self {
            Self::A => {
                text.trim().parse::<Ipv4Addr>().map(|ip| ip.to_string()).map_err(|_| wrong("10.0.0.1"))
            }
            Self::Aaaa => {
                text.trim().parse::<Ipv6Addr>().map(|ip| ip.to_string()).map_err(|_| wrong("2001:db8::1"))
            }
            Self::Txt => Ok(text.to_owned()),
            Self::Cname | Self::Ns => match words.as_slice() {
                [name] => Ok(lower(name)),
                _ => Err(wrong("ns1.example")),
            },
            Self::Mx => match (words.len(), words.last()) {
                (2, Some(name)) => numbers(1).map(|numbers| format!("{numbers} {}", lower(name))),
                _ => None,
            }
            .ok_or_else(|| wrong("10 mail.example")),
            Self::Srv => match (words.len(), words.last()) {
                (4, Some(name)) => numbers(3).map(|numbers| format!("{numbers} {}", lower(name))),
                _ => None,
            }
            .ok_or_else(|| wrong("10 5 5060 sip.example")),
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ALL.iter().find(|(_, kind, _)| kind == self).map_or("", |(name, ..)| name))
    }
}

/// A name in lower case without its last dot; the root is `.`.
pub(super) fn lower(name: &str) -> String {
    match name.strip_suffix('.').unwrap_or(name) {
        "" => ".".to_owned(),
        name => name.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_record_has_one_form() {
        for (kind, text, normal) in [
            (RecordType::A, " 10.0.0.1 ", Some("10.0.0.1")),
            (RecordType::A, "::1", None),
            (RecordType::Aaaa, "2001:DB8:0::1", Some("2001:db8::1")),
            (RecordType::Cname, "WWW.Example.", Some("www.example")),
            (RecordType::Ns, "a b", None),
            (RecordType::Mx, "10  Mail.Example.", Some("10 mail.example")),
            (RecordType::Mx, "0 .", Some("0 .")),
            (RecordType::Mx, "mail.example", None),
            (RecordType::Mx, "high mail.example", None),
            (RecordType::Srv, "10 5 5060 Sip.example", Some("10 5 5060 sip.example")),
            (RecordType::Srv, "10 5 70000 sip.example", None),
            (RecordType::Srv, "", None),
            (RecordType::Txt, "V=spf1 -all", Some("V=spf1 -all")),
        ] {
            assert_eq!(kind.normal(text).ok().as_deref(), normal, "{kind} {text}");
        }
    }
}
