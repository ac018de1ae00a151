//! What is checked where nobody has said what to check: this machine, and the databases that answer on it.

use farol_config::Sources;
use farol_health::Registration;

/// The checks of the machine itself, as a file would write them.
const CHECKS: &str = "checks: [{name: disk, disk: {}}, {name: memory, memory: {}}]";

/// Checks of this machine at once, and of each PostgreSQL and Redis that answers within 200 ms. They belong to
/// `service`. `before` are those that were found earlier: one of them that does not answer now is kept, because
/// that it does not answer is what people want to know.
pub(crate) async fn checks(service: &str, before: &[Registration]) -> Vec<Registration> {
    let mut checks = of_the_machine(service);
    for found in farol_checks::discover(service).await.into_iter().chain(before.iter().cloned()) {
        if !checks.iter().any(|check| check.spec.name == found.spec.name) {
            checks.push(found);
        }
    }
    checks
}

fn of_the_machine(service: &str) -> Vec<Registration> {
    let tree = Sources::new().text("defaults", CHECKS).load();
    tree.and_then(|tree| tree.read(|m| farol_checks::registrations(m, service)))
        .expect("a test reads this constant text")
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_health::{Outcome, Spec, check_fn};

    #[test]
    fn the_machines_checks_are_optional_and_belong_to_the_service() {
        let checks = of_the_machine("web");
        let names: Vec<_> = checks.iter().map(|check| check.spec.name.as_str()).collect();
        assert_eq!(names, ["disk", "memory"]);
        assert!(checks.iter().all(|check| !check.spec.required && check.spec.service == "web"));
    }

    #[tokio::test]
    async fn what_was_found_before_is_kept_once() {
        let gone =
            Registration::new(Spec::new("gone", "host"), check_fn("gone", async || Outcome::healthy()));
        let disk = Registration::new(Spec::new("disk", "host"), check_fn("x", async || Outcome::healthy()));
        let checks = checks("host", &[gone, disk]).await;
        let named = |name: &str| checks.iter().filter(|check| check.spec.name == name).count();
        assert_eq!((named("gone"), named("disk")), (1, 1));
    }
}
