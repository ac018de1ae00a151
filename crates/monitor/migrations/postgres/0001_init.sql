-- The store of one monitor, in the schema `farol`. Times are unix milliseconds. 64-bit numbers without a sign are kept
-- as the signed number of the same bits. Words that a stranger chose are bytes: PostgreSQL's texts take no NUL, and
-- not in every encoding of a database every letter. Sealed blocks, keyed (day, agent, start), and roll-ups come with
-- a later migration: the journal then holds only what is not sealed.

-- The store itself: exactly one row. It is written with each commit, and has room for that on its page.
CREATE TABLE farol.store (
  one            BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
  id             TEXT NOT NULL,
  created_ms     BIGINT NOT NULL,
  last_commit_ms BIGINT,
  -- Keys of agents and boots are never given twice.
  last_agent     BIGINT NOT NULL DEFAULT 0,
  last_boot      BIGINT NOT NULL DEFAULT 0,
  -- Rises with each monitor that takes over writing: one that was overtaken writes nothing more.
  epoch          BIGINT NOT NULL DEFAULT 0,
  -- Rises with each group: after a connection broke in a commit it says whether that was made.
  commits        BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 10);

CREATE TABLE farol.agents (
  key          BIGINT PRIMARY KEY,
  id           TEXT NOT NULL,
  role         TEXT NOT NULL,
  labels       BYTEA NOT NULL,
  version      BYTEA NOT NULL,
  interval_ms  BIGINT NOT NULL,
  last_seen_ms BIGINT NOT NULL,
  boot_number  BIGINT NOT NULL,
  boot_nonce   BIGINT NOT NULL,
  -- Out of the fleet since then; the row stays for as long as the journal may hold its reports.
  forgotten_ms BIGINT
);

-- Starts of agents, interned.
CREATE TABLE farol.boots (
  key    BIGINT PRIMARY KEY,
  agent  BIGINT NOT NULL,
  number BIGINT NOT NULL,
  nonce  BIGINT NOT NULL
);
CREATE INDEX boots_by_agent ON farol.boots (agent);

-- Sets of definitions: `farol.v1.Define`.
CREATE TABLE farol.layouts (
  key    BIGINT PRIMARY KEY,
  define BYTEA NOT NULL
);

-- One row per commit, holding all its reports. See `store/row.rs` for the three parts. The large one is packed
-- already, and parts of it are read.
CREATE TABLE farol.journal (
  id           BIGINT PRIMARY KEY,
  committed_ms BIGINT NOT NULL,
  first_ms     BIGINT NOT NULL,
  last_ms      BIGINT NOT NULL,
  boots        BYTEA NOT NULL,
  directory    BYTEA NOT NULL,
  body         BYTEA NOT NULL
);
ALTER TABLE farol.journal ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX journal_by_time ON farol.journal (last_ms, first_ms);

-- How far each boot is committed, up to and including the row `journal`. See `store/marks.rs`.
CREATE TABLE farol.marks (
  one     BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
  journal BIGINT NOT NULL,
  body    BYTEA NOT NULL
);

-- Components that ever were, interned.
CREATE TABLE farol.component_names (
  key       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  agent     TEXT COLLATE "C" NOT NULL,
  service   TEXT COLLATE "C" NOT NULL,
  component TEXT COLLATE "C" NOT NULL,
  UNIQUE (agent, service, component)
);

-- Components as they were last known, for the restart.
CREATE TABLE farol.components (
  name       BIGINT PRIMARY KEY,
  required   BOOLEAN NOT NULL,
  readiness  BOOLEAN NOT NULL,
  ttl_ms     BIGINT NOT NULL,
  kind       BYTEA NOT NULL,
  hard       BIGINT NOT NULL,
  soft       BIGINT NOT NULL,
  reason     BYTEA NOT NULL,
  message    BYTEA NOT NULL,
  checked_ms BIGINT,
  changed_ms BIGINT NOT NULL,
  stale      BOOLEAN NOT NULL
);

-- What each component was from a moment on; no status: it was removed.
CREATE TABLE farol.status_changes (
  name        BIGINT NOT NULL,
  at_ms       BIGINT NOT NULL,
  status      BIGINT,
  maintenance BOOLEAN NOT NULL,
  stale       BOOLEAN NOT NULL,
  reason      BYTEA NOT NULL,
  PRIMARY KEY (name, at_ms)
);

-- Times in which no monitor watched.
CREATE TABLE farol.blind (
  from_ms BIGINT PRIMARY KEY,
  to_ms   BIGINT NOT NULL
);
