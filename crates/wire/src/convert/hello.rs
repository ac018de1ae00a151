//! Who speaks: an agent's first message, checked. Whether it may speak for that id is decided by the monitor.

use super::{Invalid, agent_id_is_valid, labels, name_is_valid};
use crate::limits::SPOOLED_BOOTS;
use crate::proto;
use std::collections::BTreeMap;

/// What an agent runs beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// A side-car in a pod.
    Pod,
    /// One per node.
    Node,
    /// A plain machine.
    Host,
}

impl Role {
    /// The lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Host => "host",
        }
    }
}

impl From<Role> for proto::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Pod => Self::Pod,
            Role::Node => Self::Node,
            Role::Host => Self::Host,
        }
    }
}

/// One start of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Boot {
    /// max(saved + 1, unix milliseconds).
    pub number: u64,
    /// Random; part of the key.
    pub nonce: u64,
}

impl From<Boot> for proto::Boot {
    fn from(boot: Boot) -> Self {
        Self { number: boot.number, nonce: boot.nonce }
    }
}

impl From<proto::Boot> for Boot {
    fn from(boot: proto::Boot) -> Self {
        Self { number: boot.number, nonce: boot.nonce }
    }
}

/// An agent's first message.
#[derive(Clone, Debug, PartialEq)]
pub struct Hello {
    /// The id the agent gives itself.
    pub agent: String,
    /// What it runs beside.
    pub role: Role,
    /// This start.
    pub boot: Boot,
    /// Boots whose reports will come as backlog.
    pub spooled: Vec<Boot>,
    /// The agent's labels.
    pub labels: BTreeMap<String, String>,
    /// Its software version.
    pub version: String,
    /// Protocol versions it speaks.
    pub protocol: (u32, u32),
    /// The report interval it would like.
    pub interval_ms: u32,
    /// Its wall clock.
    pub wall_ms: u64,
    /// Its boot clock.
    pub clock_ms: u64,
    /// Prefix of its service names; empty for none.
    pub scope: String,
    /// Whether it applies `drain` windows.
    pub accept_drain: bool,
}

impl TryFrom<proto::Hello> for Hello {
    type Error = Invalid;

    fn try_from(hello: proto::Hello) -> Result<Self, Invalid> {
        if !agent_id_is_valid(&hello.agent) {
            return Err(Invalid::new(format!(
                "{:.60?} is not an agent id; use [A-Za-z0-9._:-]{{1,128}}",
                hello.agent
            )));
        }
        if !hello.scope.is_empty() && !name_is_valid(&hello.scope) {
            return Err(Invalid::new(format!("{:.60?} is not a scope", hello.scope)));
        }
        if hello.version.len() > 128 {
            return Err(Invalid::new("the version has more than 128 bytes"));
        }
        if hello.spooled.len() > SPOOLED_BOOTS {
            return Err(Invalid::new(format!("more than {SPOOLED_BOOTS} spooled boots")));
        }
        let role = match hello.role() {
            proto::Role::Pod => Role::Pod,
            proto::Role::Node => Role::Node,
            proto::Role::Host => Role::Host,
            proto::Role::Unspecified => return Err(Invalid::new("Hello has no role")),
        };
        Ok(Self {
            agent: hello.agent,
            role,
            boot: hello.boot.ok_or_else(|| Invalid::new("Hello has no boot"))?.into(),
            spooled: hello.spooled.into_iter().map(Into::into).collect(),
            labels: labels(hello.labels)?,
            version: hello.version,
            protocol: (hello.protocol_min, hello.protocol_max),
            interval_ms: hello.interval_ms,
            wall_ms: hello.wall_ms,
            clock_ms: hello.clock_ms,
            scope: hello.scope,
            accept_drain: hello.accept_drain,
        })
    }
}

impl From<Hello> for proto::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            agent: hello.agent,
            role: proto::Role::from(hello.role).into(),
            boot: Some(hello.boot.into()),
            spooled: hello.spooled.into_iter().map(Into::into).collect(),
            labels: hello.labels.into_iter().collect(),
            version: hello.version,
            protocol_min: hello.protocol.0,
            protocol_max: hello.protocol.1,
            interval_ms: hello.interval_ms,
            wall_ms: hello.wall_ms,
            clock_ms: hello.clock_ms,
            scope: hello.scope,
            accept_drain: hello.accept_drain,
        }
    }
}
