//! Who exports: the attributes that all of a process's telemetry has. `OTEL_RESOURCE_ATTRIBUTES` wins over what
//! Farol finds out by itself.

use opentelemetry::{Key, KeyValue};
use opentelemetry_sdk::Resource;

use crate::config::{Otlp, Process};

const NAME: &str = "service.name";

pub(super) fn of(config: &Otlp, process: &Process) -> Resource {
    let told = Resource::builder().build();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let found = [
        ("service.version", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("service.instance.id", process.instance.clone()),
        ("host.name", Some(host).filter(|name| !name.is_empty())),
    ];
    let missing = found.into_iter().filter(|(key, _)| told.get(&Key::from_static_str(key)).is_none());
    let missing = missing.filter_map(|(key, value)| Some(KeyValue::new(key, value?)));
    // The library's own name for who has none.
    let named = told.get(&Key::from_static_str(NAME)).map(|name| name.to_string());
    let named = named.filter(|name| !name.starts_with("unknown_service"));
    let name = config.service_name.clone().or(named).unwrap_or_else(|| process.name.to_owned());
    Resource::builder().with_attributes(missing).with_attribute(KeyValue::new(NAME, name)).build()
}
