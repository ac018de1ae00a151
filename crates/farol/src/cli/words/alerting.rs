//! What `--help` says after the flags of the commands that are about alerts. Text only.

/// `farol alerts --help`.
pub(in crate::cli) const ALERTS: &str = "\
Examples:
  farol alerts                                 what fires
  farol alerts --all                           with what is about to fire and what just ended
  farol alerts --match service:payments --match 'pod:~web-.*'
  farol alerts --watch
  farol alerts --json | jq '.items[] | select(.acknowledged == null) | .id'

A pattern is `text`, `!text`, `~expression` or `!~expression`.

JSON (keys may be added, none is renamed or removed):
  {\"items\": [as under /api/v1/alerts of the monitor]}; with --watch one such object a line, whenever something changes.

Exit codes:
  0   nothing fires
  1   the worst that fires is a warning
  2   something critical fires
  3   it could not be found out
  64  the command line is wrong";

/// `farol ack --help`.
pub(in crate::cli) const ACK: &str = "\
Examples:
  farol ack 3f0c --reason 'new disks are on their way'
  farol ack database_down --reason 'failing over' --for 2h
  farol ack 3f0c --end

An acknowledged alert is not repeated. It is told again when it becomes worse or fires anew, and its end is told.

Exit codes:
  0   done, and kept
  1   it could not be done, or the monitor's store did not take it: the message says which
  64  the command line is wrong";

/// `farol silence --help`.
pub(in crate::cli) const SILENCE: &str = "\
Examples:
  farol silence add service:payments 'pod:~web-.*' --for 2h --reason 'load test'
  farol silence list
  farol silence end 6a1f0c33d2b94e70

Exit codes:
  0   done, and kept
  1   it could not be done, or the monitor's store did not take it: the message says which
  64  the command line is wrong";

/// `farol silence add --help`.
pub(in crate::cli) const SILENCE_ADD: &str = "\
Examples:
  farol silence add service:payments 'pod:~web-.*' --for 2h --reason 'load test'
  farol silence add alertname:cpu_usage agent:db-1 --until 2030-01-15T18:00:00Z --reason 'reindexing'

A pattern is `text`, `!text`, `~expression` or `!~expression`. What still fires at its end is told at once.

Exit codes: 0 done and kept, 1 not done or not kept, 64 the command line is wrong";

/// `farol silence list --help`.
pub(in crate::cli) const SILENCE_LIST: &str = "\
Example:
  farol silence list --json | jq -r '.items[] | select(.author == \"ann\").id'

Exit codes: 0 listed, 1 no monitor answers, 64 the command line is wrong";

/// `farol silence end --help`.
pub(in crate::cli) const SILENCE_END: &str = "\
Example:
  farol silence end 6a1f0c33d2b94e70

Exit codes: 0 done and kept, 1 not done or not kept, 64 the command line is wrong";

/// `farol maintenance --help`.
pub(in crate::cli) const MAINTENANCE: &str = "\
Examples:
  farol maintenance add disks agent:db-1 --for 2h --reason 'new disks' --drain
  farol maintenance add nightly service:reports --days daily --at 02:00 --zone Europe/Berlin --for 1h --reason backups
  farol maintenance list
  farol maintenance end 6a1f0c33d2b94e70

Exit codes:
  0   done, and kept
  1   it could not be done, or the monitor's store did not take it: the message says which
  64  the command line is wrong";

/// `farol maintenance add --help`.
pub(in crate::cli) const MAINTENANCE_ADD: &str = "\
Examples:
  farol maintenance add disks agent:db-1 --for 2h --reason 'new disks' --drain
  farol maintenance add nightly service:reports --days daily --at 02:00 --zone Europe/Berlin --for 1h --reason backups
  farol maintenance add close service:ledger --days 1,-1 --at 22:00 --for 3h --reason 'closing the books'

Alerts are held back meanwhile; with --drain instances take no work, too. What still fires at its end is told at once.

Exit codes: 0 done and kept, 1 not done or not kept, 64 the command line is wrong";

/// `farol maintenance list --help`.
pub(in crate::cli) const MAINTENANCE_LIST: &str = "\
Example:
  farol maintenance list --json | jq '.items[] | select(.active)'

Exit codes: 0 listed, 1 no monitor answers, 64 the command line is wrong";

/// `farol maintenance end --help`.
pub(in crate::cli) const MAINTENANCE_END: &str = "\
Example:
  farol maintenance end 6a1f0c33d2b94e70

A window of the configuration is taken out there.

Exit codes: 0 done and kept, 1 not done or not kept, 64 the command line is wrong";

/// `farol why --help`.
pub(in crate::cli) const WHY: &str = "\
Examples:
  farol why alert 3f0c                          since when, who holds it back, who was told, each attempt
  farol why component web-1 payments database   what each rule says of it, and why it does not fire
  farol why agent web-1 --rule cpu_usage
  farol why service payments
  farol why receiver pager

Exit codes:
  0   told
  1   there is no such thing, or no monitor answers
  64  the command line is wrong";

/// `farol incidents --help`.
pub(in crate::cli) const INCIDENTS: &str = "\
Examples:
  farol incidents --open
  farol incidents --since 30d                   those of the last month
  farol incidents 1768473000000                 with its time line

Exit codes:
  0   told
  1   there is no such incident, or no monitor answers
  64  the command line is wrong";

/// `farol notifications --help`.
pub(in crate::cli) const NOTIFICATIONS: &str = "\
Examples:
  farol notifications                           those that are still to be sent
  farol notifications --dead                    those that nobody took
  farol notifications --sent --receiver pager
  farol notifications resend 1768473000000-17-pager
  farol notifications resend --all --receiver pager

Exit codes:
  0   told, or made due again
  1   there is no such notice, its receiver is gone, one of all was refused, or no monitor answers
  64  the command line is wrong";

/// `farol breakers --help`.
pub(in crate::cli) const BREAKERS: &str = "\
Examples:
  farol breakers
  farol breakers open payments --reason 'their deployment' --for 10m
  farol breakers close payments --reason 'all is well'
  farol breakers admit payments && curl https://payments.example/
  farol breakers report payments --failure

Exit codes:
  0   told, or done and kept; the call may be made
  1   the call is not to be made, there is no such breaker, no monitor answers,
      or its store did not take it
  64  the command line is wrong";
