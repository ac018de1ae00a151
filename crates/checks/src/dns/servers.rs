//! Whom the system asks, and the forms a name may have, as `resolv.conf(5)` says. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// As many as the system's own resolver uses.
const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 6;
const MAX_DOTS: usize = 15;
const PORT: u16 = 53;

/// The servers and the search list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Servers {
    /// In the order in which they are asked.
    addresses: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with fewer dots is searched for first.
    dots: usize,
}

impl Servers {
    /// This one; names are whole.
    pub(super) fn one(address: SocketAddr) -> Self {
        Self { addresses: vec![address], search: Vec::new(), dots: 0 }
    }

    /// Reads the text of a `resolv.conf`.
    pub(super) fn of(text: &str) -> Self {
        let mut servers = Self { addresses: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // One with a zone (`fe80::1%eth0`) is left out.
                    let address = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    servers.addresses.extend(address.map(|address| SocketAddr::new(address, PORT)));
                }
                Some("search" | "domain") => servers.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.filter_map(|word| word.strip_prefix("ndots:")?.parse().ok()).next_back();
                    servers.dots = dots.unwrap_or(servers.dots).min(MAX_DOTS);
                }
                _ => {}
            }
        }
        servers.addresses.truncate(MAX_SERVERS);
        servers.search.truncate(MAX_SEARCH);
        if servers.addresses.is_empty() {
            servers.addresses.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        servers
    }

    pub(super) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What a name may stand for, in the order in which it is tried.
    pub(super) fn forms(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut forms: Vec<String> =
            self.search.iter().map(|domain| format!("{name}.{}", domain.trim_start_matches('.'))).collect();
        let enough = name.matches('.').count() >= self.dots;
        forms.insert(if enough { 0 } else { forms.len() }, name.to_owned());
        forms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolv_conf_is_read_as_the_system_reads_it() {
        let text = "# kubelet\nsearch old.test\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\nnameserver ::1\n\
                    nameserver 10.0.0.1\nnameserver 10.0.0.2\n; end\n\
                    search shop.svc.cluster.local svc.cluster.local\noptions timeout:1 ndots:5";
        let servers = Servers::of(text);
        let seen: Vec<String> = servers.addresses().iter().map(SocketAddr::to_string).collect();
        assert_eq!(seen, ["10.96.0.10:53", "[::1]:53", "10.0.0.1:53"]);
        assert_eq!(servers.search, ["shop.svc.cluster.local", "svc.cluster.local"]);
        assert_eq!(servers.dots, 5);
        assert_eq!(Servers::of("").addresses(), ["127.0.0.1:53".parse().unwrap()]);
    }

    #[test]
    fn a_name_is_searched_for_as_its_dots_say() {
        let servers = Servers::of("search a.test b.test\noptions ndots:2");
        for (name, forms) in [
            ("db", &["db.a.test", "db.b.test", "db"][..]),
            ("db.shop", &["db.shop.a.test", "db.shop.b.test", "db.shop"]),
            ("db.shop.test", &["db.shop.test", "db.shop.test.a.test", "db.shop.test.b.test"]),
            ("db.", &["db."]),
        ] {
            assert_eq!(servers.forms(name), forms, "{name}");
        }
        assert_eq!(Servers::one("127.0.0.1:53".parse().unwrap()).forms("db"), ["db"]);
    }
}
