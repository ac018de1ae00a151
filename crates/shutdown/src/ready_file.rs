//! The file that tells a starter of this process that it is up, and where. Decides its format only.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::data_dir::{Durable, replace};

/// The addresses a process really listens on; those it does not have are `null` in the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ready {
    /// The monitor's REST.
    pub http: Option<SocketAddr>,
    /// The monitor's agents.
    pub agents: Option<SocketAddr>,
    /// The monitor's gRPC health.
    pub health: Option<SocketAddr>,
    /// The agent's probes.
    pub agent_http: Option<SocketAddr>,
    /// The agent's gRPC health.
    pub agent_health: Option<SocketAddr>,
    /// The agent's local API, where it has a port.
    pub agent_local: Option<SocketAddr>,
}

impl Ready {
    /// Writes the file by a rename: who sees it sees all of it.
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        replace(path, self.to_json().as_bytes(), Durable::No)
    }

    fn to_json(self) -> String {
        let all = [
            ("http", self.http),
            ("agents", self.agents),
            ("health", self.health),
            ("agent_http", self.agent_http),
            ("agent_health", self.agent_health),
            ("agent_local", self.agent_local),
        ];
        let fields = all.map(|(key, address)| match address {
            Some(address) => format!("\"{key}\":\"{address}\""),
            None => format!("\"{key}\":null"),
        });
        format!("{{{}}}\n", fields.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_there_and_what_is_not_served_is_null() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("ready.json");
        let http = Some("127.0.0.1:8511".parse().unwrap());
        Ready { agent_http: http, agent_health: Some("[::1]:8513".parse().unwrap()), ..Ready::default() }
            .write(&path)
            .unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"http\":null,\"agents\":null,\"health\":null,\"agent_http\":\"127.0.0.1:8511\",\"agent_health\":\"[::1]:8513\",\"agent_local\":null}\n"
        );
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }
}
