//! `/metrics`: the monitor's own counts, and every status of the fleet as a number. Decides names and meaning; how they
//! are spelled is `exposition`'s.

use super::alerts;
use super::exposition::{Format, Kind};
use super::families::{Families, sample};
use super::process;
use super::stream::Page;
use super::traffic;
use crate::app::App;
use crate::fleet::{Agent, Component, Live};
use crate::store::{Connections, Level};
use farol_health::probe::Moment;
use farol_shutdown::listener::{Closed, Refused};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::IntoIter;

/// The page. Agents are looked at one by one, when it is their turn.
pub(super) struct Own {
    app: Arc<App>,
    format: Format,
    stage: Stage,
}

enum Stage {
    Counts,
    Statuses(IntoIter<Arc<Agent>>),
    Stale(IntoIter<Arc<Agent>>),
}

/// What one family tells of one component.
type Tell = fn(&Live, &Component) -> f64;

const STATUS: &str = "farol_component_status";
const STALE: &str = "farol_component_stale";

impl Own {
    pub(super) fn new(app: Arc<App>, format: Format) -> Self {
        Self { app, format, stage: Stage::Counts }
    }

    fn begin_statuses(&mut self, out: &mut Vec<u8>) {
        const HELP: &str = "What a component shows: 0 unknown, 1 starting, 2 healthy, 3 degraded, 4 unhealthy, \
                            5 maintenance.";
        self.format.head(out, STATUS, Kind::Gauge, HELP);
        self.stage = Stage::Statuses(self.app.fleet.agents().into_iter());
    }

    fn begin_stale(&mut self, out: &mut Vec<u8>) {
        self.format.head(out, STALE, Kind::Gauge, "1 where nothing was heard of a component for too long.");
        self.stage = Stage::Stale(self.app.fleet.agents().into_iter());
    }
}

impl Page for Own {
    fn write(&mut self, out: &mut Vec<u8>) -> bool {
        let status: Tell = |live, component| f64::from(component.shown(live.draining()).as_u8());
        let stale: Tell = |_, component| f64::from(u8::from(component.stale));
        match &mut self.stage {
            Stage::Counts => {
                counts(&self.app, &mut Families::Page { out, format: self.format });
                self.begin_statuses(out);
            }
            Stage::Statuses(agents) => match agents.next() {
                Some(agent) => components(&agent, STATUS, status, out),
                None => self.begin_stale(out),
            },
            Stage::Stale(agents) => match agents.next() {
                Some(agent) => components(&agent, STALE, stale, out),
                None => {
                    self.format.end(out);
                    return false;
                }
            },
        }
        true
    }
}

/// Copied first: nothing is written under the agent's lock.
fn components(agent: &Agent, name: &str, tell: Tell, out: &mut Vec<u8>) {
    let told: Vec<_> = {
        let live = agent.live.lock();
        let one = |c: &Component| (Arc::clone(&c.service), Arc::clone(&c.name), tell(&live, c));
        live.components.iter().map(one).collect()
    };
    for (service, component, value) in told {
        sample(out, name, &[("agent", &agent.id), ("service", &service), ("component", &component)], value);
    }
}

/// All but what is told of each agent.
pub(super) fn counts(app: &App, families: &mut Families<'_>) {
    monitor(app, families);
    fleet(app, families);
    ingest(app, families);
    journal(app, families);
    listeners(app, families);
    alerts::write(app, families);
    traffic::write(&app.traffic.all(), families);
    app.scrapes.tell(families);
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "times of this century")]
fn seconds(ms: i64) -> f64 {
    ms as f64 / 1e3
}

fn monitor(app: &App, families: &mut Families<'_>) {
    let moment = Moment::of(&*app.own, false);
    let age_ms = i64::try_from(moment.now_ms.saturating_sub(moment.born_ms)).unwrap_or(i64::MAX);
    process::write(families, moment.now.as_millisecond().saturating_sub(age_ms));
    let version = vec![("version", moment.version)];
    families.many(
        "farol_build_info",
        Kind::Gauge,
        "Always 1; the version is in the label.",
        [(version, 1.0)],
    );
    families.one("farol_ready", Kind::Gauge, "1 while this monitor is ready.", flag(moment.ready()));
    let age = moment.heartbeat_age().as_secs_f64();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        let help = "Asynchronous tasks that have not ended.";
        families.count("farol_tasks", help, runtime.metrics().num_alive_tasks());
    }
    families.one("farol_heartbeat_age_seconds", Kind::Gauge, "Age of this monitor's own heartbeat.", age);
    families.total("farol_events_total", "Events since the start.", app.events.newest());
    let dropped = farol_logging::dropped();
    families.total("farol_log_lines_dropped_total", "Lines of the log that were dropped.", dropped);
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let unsent: Vec<_> = farol_logging::unsent().map(|(s, n)| (vec![("signal", s)], n as f64)).collect();
    if !unsent.is_empty() {
        let help = "Records of the log, spans and exports of metrics that did not arrive by OTLP.";
        families.many("farol_otlp_dropped_total", Kind::Counter, help, unsent);
    }
    let stages = app.handle.stages();
    let stages = stages.iter().map(|stage| (vec![("stage", stage.name)], stage.took.as_secs_f64()));
    families.many("farol_start_stage_seconds", Kind::Gauge, "How long each stage of the start took.", stages);
    let reloads = app.reloads.state();
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let results = [("success", reloads.succeeded as f64), ("failure", reloads.failed as f64)];
    let results = results.map(|(result, count)| (vec![("result", result)], count));
    families.many(
        "farol_config_reloads_total",
        Kind::Counter,
        "Readings of the configuration, the first included.",
        results,
    );
    let last = flag(!reloads.last_failed);
    families.one(
        "farol_config_last_reload_successful",
        Kind::Gauge,
        "0 after a reading that was refused.",
        last,
    );
    if let Some(at) = reloads.last_success_ms {
        let name = "farol_config_last_reload_success_timestamp_seconds";
        families.one(name, Kind::Gauge, "When the configuration was last taken over.", seconds(at));
    }
}

fn fleet(app: &App, families: &mut Families<'_>) {
    let mut presences = ["here", "held", "restored", "leaving", "lost"].map(|word| (word, 0.0));
    let (mut connected, mut series) = (0, 0);
    for agent in app.fleet.agents() {
        let live = agent.live.lock();
        if let Some((_, count)) = presences.iter_mut().find(|(word, _)| *word == live.presence.as_str()) {
            *count += 1.0;
        }
        connected += usize::from(live.stream.is_some());
        series += live.samples.series();
    }
    let presences = presences.map(|(word, count)| (vec![("presence", word)], count));
    families.many("farol_agents", Kind::Gauge, "Agents by presence.", presences);
    families.count("farol_agents_connected", "Agents whose stream is open.", connected);
    families.count("farol_series", "Series that the agents define.", series);
    families.count(
        "farol_layouts",
        "Different sets of definitions among the agents.",
        app.fleet.layouts.count(),
    );
    let services = app.fleet.services();
    const NUMBERS: &str = "0 unknown, 1 starting, 2 healthy, 3 degraded, 4 unhealthy, 5 maintenance.";
    let shown = services.iter().map(|s| (vec![("service", &*s.name)], f64::from(s.shown.as_u8())));
    let help = format!("What a service shows: {NUMBERS}");
    families.many("farol_service_status", Kind::Gauge, &help, shown);
    let groups = app.fleet.groups();
    let shown = groups.iter().map(|g| (vec![("group", &*g.name)], f64::from(g.shown.as_u8())));
    let help = format!("What a group shows: {NUMBERS}");
    families.many("farol_group_status", Kind::Gauge, &help, shown);
}

fn ingest(app: &App, families: &mut Families<'_>) {
    let counters = &app.ingest.counters;
    let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let open = usize::try_from(now(&counters.streams)).unwrap_or(usize::MAX);
    families.count("farol_ingest_streams", "Agents' streams that are open.", open);
    let insecure = flag(app.ingest.policy.load().trust.insecure);
    families.one(
        "farol_ingest_insecure",
        Kind::Gauge,
        "1 where agents beyond loopback are believed without certificates; those on loopback always are.",
        insecure,
    );
    for (name, help, counter) in [
        ("farol_ingest_reports_total", "Reports taken.", &counters.reports),
        ("farol_ingest_blocks_total", "Blocks of samples taken.", &counters.blocks),
        ("farol_ingest_duplicates_total", "Reports that were known already.", &counters.duplicates),
        (
            "farol_ingest_violations_total",
            "Streams ended because the agent broke the protocol.",
            &counters.violations,
        ),
        (
            "farol_ingest_identities_refused_total",
            "Streams refused because of who the peer is.",
            &counters.identities_refused,
        ),
        (
            "farol_ingest_definitions_refused_total",
            "Series and components refused.",
            &counters.definitions_refused,
        ),
        ("farol_ingest_reports_lost_total", "Reports that agents announced as lost.", &counters.reports_lost),
    ] {
        families.total(name, help, now(counter));
    }
}

fn journal(app: &App, families: &mut Families<'_>) {
    let health = app.journal.health();
    let refusing = flag(health.refusing.is_some() || health.failed);
    families.one("farol_journal_refusing", Kind::Gauge, "1 while the store takes nothing.", refusing);
    families.count(
        "farol_journal_queued_reports",
        "Reports that wait for their commit.",
        health.queued_reports,
    );
    for (name, help, count) in [
        ("farol_journal_committed_reports_total", "Reports committed.", health.committed_reports),
        ("farol_journal_committed_groups_total", "Groups committed.", health.committed_groups),
        (
            "farol_journal_dropped_reports_total",
            "Reports dropped; their agents send them again.",
            health.dropped_reports,
        ),
        ("farol_journal_dropped_changes_total", "Status changes dropped for good.", health.dropped_changes),
        (
            "farol_journal_dropped_documents_total",
            "Words on documents of alerting dropped for good.",
            health.dropped_documents,
        ),
    ] {
        families.total(name, help, count);
    }
    families.total(
        "farol_store_undecodable_reports_total",
        "Reports that history could not show because their definitions are gone.",
        app.store.undecodable(),
    );
    connections(health.connections, families);
    families.one(
        "farol_journal_commit_age_seconds",
        Kind::Gauge,
        "For how long the store has been at what it does now; 0 in between.",
        health.busy.unwrap_or_default().as_secs_f64(),
    );
    let name = "farol_journal_commit_seconds_total";
    families.one(name, Kind::Counter, "Time spent in commits, in seconds.", health.commit_seconds);
    history(app, families);
    if let Some(at) = health.last_commit_ms {
        let name = "farol_journal_last_commit_timestamp_seconds";
        families.one(name, Kind::Gauge, "When the store last took something.", seconds(at));
    }
}

/// What was measured, in memory and in the store.
#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn history(app: &App, families: &mut Families<'_>) {
    let held = app.journal.recent().held();
    families.count("farol_history_memory_bytes", "Bytes of what was measured lately, in memory.", held.bytes);
    let samples = usize::try_from(held.samples).unwrap_or(usize::MAX);
    families.count("farol_history_memory_samples", "Samples in sealed blocks in memory.", samples);
    families.count(
        "farol_history_unsealed_reports",
        "Reports in memory that are not sealed yet.",
        held.reports,
    );
    let help = "Starts of agents of which the journal alone holds some reports.";
    families.count("farol_history_boots_in_journal", help, held.in_journal);
    families.total("farol_sealed_blocks_total", "Blocks sealed since the start.", held.sealed_blocks);
    families.total("farol_sealed_bytes_total", "Their bytes.", held.sealed_bytes);
    let sizes = app.store.sizes();
    let parts = Level::ALL.iter().map(|level| (level.as_str(), sizes.levels[*level as usize]));
    let parts = parts.chain([("journal", sizes.journal), ("documents", sizes.documents)]);
    let parts = parts.map(|(part, bytes)| (vec![("part", part)], bytes as f64));
    families.many("farol_store_bytes", Kind::Gauge, "What the store holds, as last measured.", parts);
    let help = "Times that `store.budget` took history away before its age.";
    families.total("farol_store_budget_cuts_total", help, sizes.over_budget);
}

/// What is not known has no line.
fn connections(known: Connections, families: &mut Families<'_>) {
    let states = [("active", known.active), ("idle", known.idle)];
    let states = states.into_iter().filter_map(|(state, count)| count.map(|count| (state, f64::from(count))));
    let states: Vec<_> = states.map(|(state, count)| (vec![("state", state)], count)).collect();
    if !states.is_empty() {
        let help = "The store's connections to its database.";
        families.many("farol_store_connections", Kind::Gauge, help, states);
    }
    if let Some(max) = known.max {
        let name = "farol_store_connections_max";
        families.one(name, Kind::Gauge, "So many may be open.", f64::from(max));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
fn listeners(app: &App, families: &mut Families<'_>) {
    let all = app.handle.listeners();
    let open = all.iter().map(|(name, stats)| (vec![("listener", *name)], stats.open() as f64));
    families.many("farol_listener_connections", Kind::Gauge, "Connections open.", open);
    let accepted = all.iter().map(|(name, stats)| (vec![("listener", *name)], stats.accepted() as f64));
    families.many("farol_listener_accepted_total", Kind::Counter, "Connections taken in.", accepted);
    let closed = all.iter().flat_map(|(name, stats)| {
        Closed::ALL.map(|why| (vec![("listener", *name), ("reason", why.as_str())], stats.closed(why) as f64))
    });
    families.many("farol_listener_closed_total", Kind::Counter, "Connections that ended, by reason.", closed);
    let refused = all.iter().flat_map(|(name, stats)| {
        Refused::ALL
            .map(|why| (vec![("listener", *name), ("reason", why.as_str())], stats.refused(why) as f64))
    });
    families.many(
        "farol_listener_refused_total",
        Kind::Counter,
        "Connections never served, by reason.",
        refused,
    );
}
