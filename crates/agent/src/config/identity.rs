//! Who an agent is: role, id, service, scope and labels. What is not written follows from where it runs.

use super::labels_fit;
use farol_config::Map;
use farol_wire::{Role, agent_id_is_valid};
use std::collections::BTreeMap;

/// The service of checks that name none.
const SERVICE: &str = "host";

/// Where an agent runs, as its environment says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `POD_NAME`.
    pub pod_name: Option<String>,
    /// `POD_NAMESPACE`.
    pub pod_namespace: Option<String>,
    /// `NODE_NAME`.
    pub node_name: Option<String>,
    /// The machine's own name.
    pub host_name: Option<String>,
    /// The agent itself runs elsewhere, or as somebody else: its certificates need not be here.
    pub elsewhere: bool,
    /// The service that an agent has which runs already: its checks stay with it until the next start.
    pub service: Option<String>,
}

impl Surroundings {
    /// Reads them through `variable`; `host_name` is what the kernel says.
    pub fn read(variable: impl Fn(&str) -> Option<String>, host_name: Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            pod_name: set("POD_NAME"),
            pod_namespace: set("POD_NAMESPACE"),
            node_name: set("NODE_NAME"),
            host_name: host_name.filter(|name| !name.is_empty()),
            elsewhere: false,
            service: None,
        }
    }

    /// Those of an agent that runs already, with this service.
    #[must_use]
    pub fn with_service(self, service: Option<String>) -> Self {
        Self { service, ..self }
    }

    /// `namespace:pod`.
    fn pod(&self) -> Option<String> {
        Some(format!("{}:{}", self.pod_namespace.as_ref()?, self.pod_name.as_ref()?))
    }

    fn id(&self, role: Role) -> Option<String> {
        let node = || self.node_name.clone().or_else(|| self.host_name.clone());
        match role {
            Role::Pod => self.pod(),
            Role::Node => node(),
            Role::Host => self.host_name.clone(),
        }
    }
}

/// Who an agent is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its id in the fleet.
    pub id: String,
    /// What it runs beside.
    pub role: Role,
    /// The service of checks that name none.
    pub service: String,
    /// Put before the names of its services.
    pub scope: Option<String>,
    /// What tells it from other agents, for people and rules.
    pub labels: BTreeMap<String, String>,
    /// Whether it applies the monitor's drain windows.
    pub accept_drain: bool,
}

impl Identity {
    pub(super) fn read(m: &mut Map<'_>, surroundings: &Surroundings) -> Self {
        let default = if surroundings.pod().is_some() { Role::Pod } else { Role::Host };
        let words = [("pod", Role::Pod), ("node", Role::Node), ("host", Role::Host)];
        let role = m.one_of("role", &words).or(default);
        let id = match surroundings.id(role).filter(|id| agent_id_is_valid(id)) {
            Some(id) => m.agent_id("name").or(id),
            None => m.agent_id("name").required(),
        };
        let scope = m.name("scope").optional();
        let labels = m.labels("labels");
        if let Err(why) = labels_fit(&labels) {
            m.problem("labels", why);
        }
        Self {
            id,
            role,
            service: m.name("service").or(SERVICE),
            scope,
            labels,
            accept_drain: m.flag("accept_drain").or(false),
        }
    }

    /// The keys in which they differ.
    pub(super) fn differences(&self, new: &Self) -> Vec<&'static str> {
        let all = [
            ("name", self.id == new.id),
            ("role", self.role == new.role),
            ("service", self.service == new.service),
            ("scope", self.scope == new.scope),
            ("labels", self.labels == new.labels),
            ("accept_drain", self.accept_drain == new.accept_drain),
        ];
        all.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
    }
}
