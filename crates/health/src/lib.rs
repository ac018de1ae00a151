//! What healthy means: statuses, components, counting, aggregation, probes.
