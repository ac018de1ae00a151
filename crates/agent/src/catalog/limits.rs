//! How much one agent may tell.

/// Limits of one agent's catalog. What is over is dropped and counted; the rest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most series of all sources together.
    pub series: usize,
    /// Most components.
    pub components: usize,
    /// Most sources.
    pub sources: usize,
    /// A series that was absent in so many ticks of its source in a row is retired.
    pub absent_ticks: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { series: 10_000, components: 1_000, sources: 1_100, absent_ticks: 60 }
    }
}

/// Something more cannot be defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogFull {
    /// Too many sources.
    #[error(
        "this agent has as many sources as it may have; let another agent take some of the checks and scrapes"
    )]
    Sources,
    /// Too many components.
    #[error("this agent has as many components as it may have; let another agent take some of the checks")]
    Components,
}

/// Samples came for a source that is not defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("source {0} is not defined; drop its samples")]
pub struct NoSuchSource(pub u32);
