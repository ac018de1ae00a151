//! Who speaks on a stream. The only place where an agent's id is made: from the peer's certificate, or from Hello
//! where that may be believed.

use farol_shutdown::listener::Peer;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tonic::Status;

/// An agent's id that has been established.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AgentId(Arc<str>);

impl AgentId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AgentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whom the monitor believes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Believe any peer's Hello, without a certificate, from anywhere.
    pub insecure: bool,
    /// Which ids a certificate may speak for: its URI SAN, and a pattern whose only special sign is a `*` at the
    /// end. A certificate that is not named here speaks for the one id in its SAN.
    pub identities: BTreeMap<String, String>,
}

/// Establishes the agent's id. A certificate decides alone; without one Hello counts on loopback, or where the
/// configuration says `insecure: true`.
pub fn identify(peer: &Peer, hello: &str, trust: &Trust) -> Result<AgentId, Status> {
    let Some(identity) = &peer.tls_identity else {
        if peer.addr.ip().is_loopback() || trust.insecure {
            return Ok(AgentId(hello.into()));
        }
        return Err(Status::unauthenticated(format!(
            "{} has no client certificate; give agents certificates (`tls` in agent.yaml, `tls.client_ca` on the \
             monitor), or set `agents: {{insecure: true}}` on the monitor",
            peer.addr
        )));
    };
    let san = identity.as_str();
    let allowed = match trust.identities.get(san) {
        Some(pattern) => matches_pattern(pattern, hello),
        None => id_in(san) == Some(hello),
    };
    if allowed {
        return Ok(AgentId(hello.into()));
    }
    Err(Status::permission_denied(format!("the certificate of {san} does not speak for agent {hello}")))
}

/// `spiffe://<trust domain>/agent/<id>`
fn id_in(san: &str) -> Option<&str> {
    let (_, path) = san.strip_prefix("spiffe://")?.split_once('/')?;
    path.strip_prefix("agent/").filter(|id| farol_wire::agent_id_is_valid(id))
}

fn matches_pattern(pattern: &str, id: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => id.starts_with(prefix),
        None => pattern == id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_san_speaks_for_the_id_in_it_and_for_no_other() {
        assert_eq!(id_in("spiffe://prod/agent/shop:payments-1"), Some("shop:payments-1"));
        for bad in [
            "spiffe://prod/agent/",
            "spiffe://prod/node/a",
            "https://prod/agent/a",
            "spiffe://prod/agent/a/b",
        ] {
            assert_eq!(id_in(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_pattern_has_one_star_at_its_end() {
        assert!(matches_pattern("shop:*", "shop:payments-1"));
        assert!(!matches_pattern("shop:*", "shopping"));
        assert!(matches_pattern("node-1", "node-1"));
        assert!(!matches_pattern("node-1", "node-10"));
    }

    #[test]
    fn without_a_certificate_only_loopback_is_believed() {
        let peer = |addr: &str| Peer { addr: addr.parse().unwrap(), tls_identity: None };
        let trust = Trust::default();
        assert!(identify(&peer("127.0.0.1:1"), "a", &trust).is_ok());
        let refused = identify(&peer("10.0.0.1:1"), "a", &trust).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
        let insecure = Trust { insecure: true, ..Trust::default() };
        assert!(identify(&peer("10.0.0.1:1"), "a", &insecure).is_ok());
    }
}
