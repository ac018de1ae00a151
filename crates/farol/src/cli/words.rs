//! What `--help` says after the flags: examples and exit codes. Text only.

mod alerting;

pub(super) use alerting::{
    ACK, ALERTS, BREAKERS, INCIDENTS, MAINTENANCE, MAINTENANCE_ADD, MAINTENANCE_END, MAINTENANCE_LIST,
    NOTIFICATIONS, SILENCE, SILENCE_ADD, SILENCE_END, SILENCE_LIST, WHY,
};

/// `farol -h`.
pub(super) const ROOT_SHORT: &str = "`farol --help` shows examples and exit codes.";

/// `farol --help`.
pub(super) const ROOT: &str = "\
Examples:
  farol                                        watch this machine; on a terminal it says where to look
  farol --config farol.yaml                    watch what the file says
  farol --config farol.yaml --check-config     say what is wrong with the file
  farol --config farol.yaml --dump-config      show each value and where it comes from
  farol check                                  check this machine once
  farol check --config agent.yaml database     one check of a file, once
  farol status --watch                         the fleet, as it changes
  farol alerts                                 what fires
  farol why component web-1 payments database  why it is alerted, or is not
  farol silence add service:payments --for 2h --reason 'load test'
  farol healthcheck http://127.0.0.1:8501/health/ready
  farol backup /backup/farol.copy              the monitor's store, while it runs
  farol store estimate --agents 5000           what disk and memory a fleet takes
  farol rules test --since 24h rules/shop.yaml  what these alert rules would have told of the last day
  farol completions bash > /etc/bash_completion.d/farol

farol.yaml:
  monitor: {listen: {http: \"127.0.0.1:8501\"}, services: {shop: {at_least: 2}}}
  agent:
    checks:
      - {name: database, service: shop, postgres: {url: \"postgres://app@127.0.0.1/app\"}}
  Without `agent.checks` the checks of this machine are run. Each key may be set by the environment:
  FAROL_MONITOR__LISTEN__HTTP, FAROL_AGENT__NAME; a flag wins over it, and it over the file.
  LOG_LEVEL (debug, info, …) and LOG_FORMAT (structured|json|text|gelf) say what is logged.

Exit codes:
  0        ended as asked; clients that were cut are normal
  1        a port or a directory could not be had
  64       the configuration or the command line is wrong
  75       a task or a cleanup failed, or was cut because its time was over
  128 + n  a second signal n ended it at once
  `check`, `status`, `alerts` and `healthcheck` have their own, see their --help.";

/// `farol check --help`.
pub(super) const CHECK: &str = "\
Examples:
  farol check                                disk, memory, a PostgreSQL or Redis that answers here
  farol check --config farol.yaml            the checks under `agent:`
  farol check --config agent.yaml database   one of them
  farol check --timeout 5s --json | jq '.components[] | select(.status != \"healthy\")'

JSON (keys may be added, none is renamed or removed):
  {\"status\": \"healthy|degraded|unhealthy|unknown\", \"timestamp\": RFC 3339,
   \"components\": [{\"name\", \"service\", \"kind\", \"required\": bool, \"status\",
     \"reason\": stable code, \"message\", \"response_time_ms\": number or null,
     \"figures\": [{\"name\", \"value\": number or null, \"labels\": {}}], \"metadata\": {}}]}

Exit codes:
  0   healthy
  1   degraded: something optional fails, or is worse than it should be
  2   unhealthy: something required fails
  3   unknown: a required check could not tell
  64  the configuration or the command line is wrong";

/// `farol status --help`.
pub(super) const STATUS: &str = "\
Examples:
  farol status                                 services, groups, and what is not healthy and why
  farol status --url http://monitor:8501       of another machine
  farol status --watch                         as it changes
  farol status --json | jq '.services[] | select(.status != \"healthy\").name'

What an agent IS:
  silent 16s  its stream is gone; after three of its report intervals without a word it is lost
  held        it said that it restarts: its last statuses stand for a minute
  restored    the monitor restarted and has not heard it since: what it said before is shown, unconfirmed
  leaving     it ends with its workload: its components are under maintenance, then gone
  lost        nothing was heard for too long: its components are unknown

JSON (keys may be added, none is renamed or removed):
  {\"status\", \"timestamp\": RFC 3339, \"fleet\": {counts}, \"services\": [all],
   \"groups\": [all], \"components\": [those not healthy],
   \"agents\": [those not here or without a stream]},
  each as under /api/v1/fleet, /services, /groups, /components and /agents of the monitor.
  With --watch one such object a line, whenever something changes.

Exit codes (the worst service: unhealthy, unknown, starting, degraded, healthy):
  0  healthy
  1  degraded, or all is under maintenance
  2  unhealthy
  3  unknown or starting, or no monitor answers
  64 the command line is wrong";

/// `farol healthcheck --help`.
pub(super) const HEALTHCHECK: &str = "\
Examples:
  HEALTHCHECK CMD [\"farol\", \"healthcheck\", \"http://127.0.0.1:8511/health/ready\"]
  farol healthcheck --timeout 3s https://shop.example/health
  farol healthcheck grpc://127.0.0.1:8503                    the monitor itself
  farol healthcheck grpc://127.0.0.1:8503/payments           a service
  farol healthcheck grpc://127.0.0.1:8503/payments/database  one of its components

Exit codes:
  0  HTTP 200 to 399 (a redirect is not followed), gRPC SERVING
  1  anything else, no answer in time included
  64 the command line is wrong";

/// `farol backup --help`.
pub(super) const BACKUP: &str = "\
Examples:
  farol backup /backup/farol-$(date +%F).copy
  farol backup --data-dir /var/lib/farol --config /etc/farol/monitor.yaml /backup/farol.copy --force

All that was acknowledged before it began is in it; the monitor goes on. SQLite copies its file by itself (VACUUM
INTO); PostgreSQL's is a dump of the schema `farol` by `pg_dump`, which must be installed. The copy is checked and has
reached the disk before it gets its name.

Exit codes:
  0   the copy is whole
  1   it could not be made; nothing of it is left
  64  the configuration or the command line is wrong";

/// `farol restore --help`.
pub(super) const RESTORE: &str = "\
Examples:
  farol restore --data-dir /var/lib/farol /backup/farol.copy
  farol restore --config monitor.yaml /backup/farol.copy --force

Stop the monitor first. The copy is checked before it is put in its place. A store that is there stays as it is; with
--force it is set aside under another name. The store's id is that of the copy: agents take it for the same store.

Exit codes:
  0   the copy is in its place
  1   a monitor runs on it, a store is there, or the copy is damaged; nothing has changed
  64  the configuration or the command line is wrong";

/// `farol store estimate --help`.
pub(super) const ESTIMATE: &str = "\
Examples:
  farol store estimate --agents 5000 --series 120 --kept 40
  farol store estimate --agents 5000 --data-dir /var/lib/farol      with the bytes a sample takes in that store
  farol store estimate --raw 48h --budget 100GB --json | jq .disk_bytes

What a store takes is measured where --data-dir or --config names one, as it is: it may be in use. Otherwise, and while a file
names one that is still to be made, bytes are those of recorded samples of a real machine. How long what is kept is what the
file says, unless it is said here.

JSON (keys may be added, none is renamed or removed):
  {\"agents\", \"samples_per_second\", \"bytes_per_sample\", \"measured\": bool, \"parts\": [{\"part\", \"kept_seconds\", \"disk_bytes\"}],
   \"disk_bytes\", \"memory_bytes\", \"budget_bytes\", \"cut\": [{\"part\", \"kept_seconds\"}], \"store_bytes\": number or null}

Exit codes:
  0   told
  1   the store could not be read
  64  the configuration or the command line is wrong";

/// `farol rules check --help`.
pub(super) const RULES_CHECK: &str = "\
Examples:
  farol rules check rules/*.yaml
  farol rules check --json rules/shop.yaml | jq '.[] | select(.for_ms == 0).name'

All that is wrong is told at once, with file, line and key. The files are read beside the shipped rules, which they may
depend on and replace.

JSON (keys may be added, none is renamed or removed):
  [{\"name\", \"looks_at\", \"bad\", \"for_ms\", \"keep_firing_for_ms\", \"by\": [labels] or null, \"labels\", \"annotations\",
    \"depends_on\": [{\"rule\", \"on\", \"redundancy_group\"}], \"actions\": []}]

Exit codes:
  0   nothing is wrong
  64  a file or the command line is wrong";

/// `farol rules test --help`.
pub(super) const RULES_TEST: &str = "\
Examples:
  farol rules test --since 24h rules/shop.yaml                   beside the shipped rules, of the store in farol-data
  farol rules test --config monitor.yaml rules/shop.yaml         with its routes and store, beside its rules
  farol rules test --config monitor.yaml --against old.yaml      what changed since old.yaml
  farol rules test --cases cases.yaml rules/shop.yaml            unit tests: see docs/RULES.md, Trying rules out
  farol rules test --json rules/shop.yaml | jq '.told[] | select(.change == \"added\")'

The stored past goes through the code that alerts live; nothing is sent. + is sent by the FILEs only, - by the rules in
force only. The store is opened to be read: a monitor may go on with it.

What history says is less than what a monitor sees:
  what was bad when the time begins is told there; what still waits when it ends is not told
  samples are read by the second; where they are gone, means of 5 minutes or an hour stand for them
  an agent all of whose components are stale at once counts as lost; one whose components all go after that as
  forgotten, or as left where they were drained before
  kinds of checks, labels of agents and what is required are those of now; so are silences and acknowledgements: none

JSON (keys may be added, none is renamed or removed):
  {\"from\", \"to\", \"compared\": bool, \"firing\": alerts at the end, \"notes\": [what cannot be judged],
   \"resolution\": [{\"from\", \"resolution\": \"samples|5m|1h\"}], \"status_changes\", \"samples\",
   \"told\": [{\"at\", \"receiver\", \"group\", \"why\": \"first|more|raised|fell|released|resolved|repeat\",
     \"change\": \"both|added|gone\", \"firing\": [{\"rule\", \"labels\", \"severity\", \"since\"}],
     \"resolved\": [{\"rule\", \"labels\", \"ending\"}]}]}
  with --cases: {\"cases\": [{\"name\", \"at\": file and line, \"failures\": [text]}], \"failed\": number}

Exit codes:
  0   told, whether anything differs or not; or every case came out
  1   a case did not come out, or the store could not be read
  64  a file or the command line is wrong";

/// `farol completions --help`.
pub(super) const COMPLETIONS: &str = "\
Examples:
  farol completions bash > /etc/bash_completion.d/farol
  farol completions zsh > \"${fpath[1]}/_farol\"
  farol completions fish > ~/.config/fish/completions/farol.fish";
