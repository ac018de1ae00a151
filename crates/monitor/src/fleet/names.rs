//! What a name of `grpc.health.v1` shows: `<service>`, `<service>/<component>`, each with `@<agent>`, and
//! `group:<name>`. The empty name is the process itself and is not answered here.

use super::Fleet;
use farol_health::aggregate::Aggregate;

impl Fleet {
    /// What this name shows now; `None` for a name that nobody has.
    #[must_use]
    pub fn shown(&self, name: &str) -> Option<Aggregate> {
        let board = self.board.lock();
        if let Some(group) = name.strip_prefix("group:") {
            return board.group(group).map(|g| g.shown);
        }
        let (path, agent) = match name.split_once('@') {
            Some((path, agent)) => (path, Some(agent)),
            None => (name, None),
        };
        match (path.split_once('/'), agent) {
            (None, None) => board.service(path).map(|s| s.shown),
            (None, Some(agent)) => board.instance(path, agent),
            (Some((service, component)), None) => board.component(service, component),
            (Some((service, component)), Some(agent)) => board.instance_component(service, component, agent),
        }
    }

    /// The names that List holds: services and groups.
    #[must_use]
    pub fn listed(&self) -> Vec<(String, Aggregate)> {
        let board = self.board.lock();
        let services = board.services().into_iter().map(|s| (s.name.to_string(), s.shown));
        let groups = board.groups().into_iter().map(|g| (format!("group:{}", g.name), g.shown));
        services.chain(groups).collect()
    }
}
