//! Which records are kept, changed while the process runs. What a level means is the configuration's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use tracing_subscriber::{EnvFilter, Registry, reload};

use crate::config::Filter;

/// The handle of a running log's filter.
#[derive(Debug)]
pub(crate) struct Level {
    /// What is in force, for those who ask.
    now: Mutex<Filter>,
    filter: reload::Handle<Option<EnvFilter>, Registry>,
    /// Only CRITICAL is kept, which an `EnvFilter` cannot say.
    pub(crate) critical_only: Arc<AtomicBool>,
}

impl Level {
    pub(crate) fn new(filter: &Filter) -> (reload::Layer<Option<EnvFilter>, Registry>, Self) {
        let (layer, handle) = reload::Layer::new(filter.build());
        let critical_only = Arc::new(AtomicBool::new(filter.critical_only));
        (layer, Self { now: Mutex::new(filter.clone()), filter: handle, critical_only })
    }

    /// False when the log is gone.
    pub(crate) fn set(&self, filter: &Filter) -> bool {
        let mut now = self.now.lock();
        let done = self.filter.reload(filter.build()).is_ok();
        if done {
            self.critical_only.store(filter.critical_only, Relaxed);
            now.clone_from(filter);
        }
        done
    }

    pub(crate) fn get(&self) -> Filter {
        self.now.lock().clone()
    }
}
