//! Which addresses may be spoken to. Pure: an address that hides another is judged by the one inside.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Anybody's.
    Public,
    /// This machine's or this house's own.
    Private,
    /// Nobody's who takes alerts: the word says why.
    Never(&'static str),
}

/// Where clouds answer with the machine's credentials; the link-local one is refused with its whole range.
const METADATA: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)),
];

/// Judges an address.
pub(super) fn class(address: IpAddr) -> Class {
    if METADATA.contains(&address) {
        return Class::Never("a cloud's metadata address");
    }
    match address {
        IpAddr::V4(address) => class_v4(address),
        IpAddr::V6(address) => match inside(address) {
            // A tunnel to a public address is one still: nobody's receiver lives there.
            Some(inner) => class(IpAddr::V4(inner)),
            None => class_v6(address),
        },
    }
}

fn class_v4(address: Ipv4Addr) -> Class {
    let [a, b, ..] = address.octets();
    match (a, b) {
        (0, _) => Class::Never("an unspecified address"),
        (169, 254) => Class::Never("a link-local address"),
        (224..=239, _) => Class::Never("a multicast address"),
        (240..=255, _) => Class::Never("a reserved or broadcast address"),
        (10 | 127, _) | (172, 16..=31) | (192, 168) | (100, 64..=127) | (198, 18..=19) => Class::Private,
        (192, 0) if address.octets()[2] == 0 => Class::Private,
        _ => Class::Public,
    }
}

fn class_v6(address: Ipv6Addr) -> Class {
    let first = address.segments()[0];
    if address.is_unspecified() {
        Class::Never("an unspecified address")
    } else if address.is_loopback() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfec0 {
        Class::Private
    } else if first & 0xffc0 == 0xfe80 {
        Class::Never("a link-local address")
    } else if first & 0xff00 == 0xff00 {
        Class::Never("a multicast address")
    } else if address.segments()[..2] == [0x2001, 0] {
        Class::Never("a Teredo tunnel's address")
    } else if first & 0xe000 == 0x2000 {
        Class::Public
    } else {
        Class::Never("an address of no known range")
    }
}

/// The IPv4 address in an IPv6 one: mapped, compatible, NAT64 (both prefixes), 6to4, ISATAP.
fn inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let joined = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let last = joined(s[6], s[7]);
    match s {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => Some(last),
        [0, 0, 0, 0, 0, 0, ..] if u32::from(last) > 1 => Some(last),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Some(last),
        [0x2002, high, low, ..] => Some(joined(high, low)),
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => Some(last),
        _ => None,
    }
}

/// A range of addresses: `10.0.0.0/8`, `fd12::/16`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    base: IpAddr,
    bits: u8,
}

impl Range {
    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let unwrapped = match address {
            IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        };
        match (self.base, unwrapped) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(base) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(base) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is no address or range; write for instance `10.0.0.0/8`".to_owned();
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().map_err(|_| wrong())?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| wrong()))?;
        if bits > most { Err(wrong()) } else { Ok(Self { base, bits }) }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: &str = "169.254.169.254 169.254.0.1 100.100.100.200 192.0.0.192 168.63.129.16 0.0.0.0 0.1.2.3 224.0.0.1 \
        239.255.255.250 240.0.0.1 255.255.255.255 :: fe80::1 febf::1 fd00:ec2::254 fd20:ce::254 ff02::1 \
        ::ffff:169.254.169.254 ::ffff:0:169.254.169.254 ::169.254.169.254 64:ff9b::169.254.169.254 \
        64:ff9b:1::a9fe:a9fe 2002:a9fe:a9fe::1 2002:0:0:: fd00::5efe:169.254.169.254 ::ffff:100.100.100.200 \
        2001:0:4136:e378:8000:63bf:3fff:fdd2 4000::1";
    const PRIVATE: &str = "127.0.0.1 127.255.0.1 10.1.2.3 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 198.18.0.1 ::1 \
        fc00::1 fd12:3456::1 fec0::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 64:ff9b::10.0.0.1 2002:0a00:0001:: \
        2002:7f00:0001::1";
    const PUBLIC: &str = "1.1.1.1 172.32.0.1 100.128.0.1 192.0.2.1 2606:4700::1111 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 \
        2002:0808:0808::1 169.253.0.1";

    #[test]
    fn each_range_is_judged_and_disguises_are_taken_off() {
        let class = |text: &str| class(text.parse().unwrap());
        for text in NEVER.split_whitespace() {
            assert!(matches!(class(text), Class::Never(_)), "{text} must never be spoken to");
        }
        for text in PRIVATE.split_whitespace() {
            assert_eq!(class(text), Class::Private, "{text}");
        }
        for text in PUBLIC.split_whitespace() {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    #[test]
    fn ranges_hold_what_they_say() {
        for (range, address, held) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("fd12::/16", "fd12::1", true),
            ("fd12::/16", "fd13::1", false),
            ("::/0", "10.0.0.1", false),
        ] {
            let parsed: Range = range.parse().unwrap();
            assert_eq!(parsed.holds(address.parse().unwrap()), held, "{range} {address}");
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "host", "", "::/129", "1.2.3.4/"] {
            assert!(wrong.parse::<Range>().is_err(), "{wrong}");
        }
    }
}
