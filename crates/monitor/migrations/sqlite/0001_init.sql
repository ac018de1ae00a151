-- The store of one monitor. Times are unix milliseconds. 64-bit numbers without a sign are kept as the signed
-- number of the same bits. Sealed blocks, keyed (day, agent, start), and roll-ups come with a later migration: the
-- journal then holds only what is not sealed.

-- The store itself: exactly one row.
CREATE TABLE store (
  one            INTEGER PRIMARY KEY CHECK (one = 1),
  id             TEXT NOT NULL,
  created_ms     INTEGER NOT NULL,
  last_commit_ms INTEGER,
  -- Keys of agents and boots are never given twice.
  last_agent     INTEGER NOT NULL DEFAULT 0,
  last_boot      INTEGER NOT NULL DEFAULT 0,
  -- The start of the machine in which the store was opened, and whether it was closed since: after a power loss the
  -- whole file is checked.
  machine        TEXT NOT NULL DEFAULT '',
  closed         INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE agents (
  key          INTEGER PRIMARY KEY,
  id           TEXT NOT NULL,
  role         TEXT NOT NULL,
  labels       TEXT NOT NULL,
  version      TEXT NOT NULL,
  interval_ms  INTEGER NOT NULL,
  last_seen_ms INTEGER NOT NULL,
  boot_number  INTEGER NOT NULL,
  boot_nonce   INTEGER NOT NULL,
  -- Out of the fleet since then; the row stays for as long as the journal may hold its reports.
  forgotten_ms INTEGER
);

-- Starts of agents, interned.
CREATE TABLE boots (
  key    INTEGER PRIMARY KEY,
  agent  INTEGER NOT NULL,
  number INTEGER NOT NULL,
  nonce  INTEGER NOT NULL
);

-- Sets of definitions: `farol.v1.Define`.
CREATE TABLE layouts (
  key    INTEGER PRIMARY KEY,
  define BLOB NOT NULL
);

-- One row per commit, holding all its reports. See `store/row.rs` for the three parts. The large one lies apart, so
-- that a search reads little.
CREATE TABLE journal (
  id           INTEGER PRIMARY KEY,
  committed_ms INTEGER NOT NULL,
  first_ms     INTEGER NOT NULL,
  last_ms      INTEGER NOT NULL,
  boots        BLOB NOT NULL,
  directory    BLOB NOT NULL
);
CREATE INDEX journal_by_time ON journal (last_ms, first_ms);
CREATE TABLE journal_bodies (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- How far each boot is committed, up to and including the row `journal`. See `store/marks.rs`.
CREATE TABLE marks (
  one     INTEGER PRIMARY KEY CHECK (one = 1),
  journal INTEGER NOT NULL,
  body    BLOB NOT NULL
);

-- Components that ever were, interned.
CREATE TABLE component_names (
  key       INTEGER PRIMARY KEY,
  agent     TEXT NOT NULL,
  service   TEXT NOT NULL,
  component TEXT NOT NULL,
  UNIQUE (agent, service, component)
);

-- Components as they were last known, for the restart.
CREATE TABLE components (
  name       INTEGER PRIMARY KEY,
  required   INTEGER NOT NULL,
  readiness  INTEGER NOT NULL,
  ttl_ms     INTEGER NOT NULL,
  kind       TEXT NOT NULL,
  hard       INTEGER NOT NULL,
  soft       INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  message    TEXT NOT NULL,
  checked_ms INTEGER,
  changed_ms INTEGER NOT NULL,
  stale      INTEGER NOT NULL
);

-- What each component was from a moment on; no status: it was removed.
CREATE TABLE status_changes (
  name        INTEGER NOT NULL,
  at_ms       INTEGER NOT NULL,
  status      INTEGER,
  maintenance INTEGER NOT NULL,
  stale       INTEGER NOT NULL,
  reason      TEXT NOT NULL,
  PRIMARY KEY (name, at_ms)
) WITHOUT ROWID;

-- Times in which no monitor watched.
CREATE TABLE blind (
  from_ms INTEGER PRIMARY KEY,
  to_ms   INTEGER NOT NULL
);
