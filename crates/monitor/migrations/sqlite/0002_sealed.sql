-- Sealed blocks and roll-ups: the journal then holds only what is not sealed.

-- How far a boot's reports stand in blocks: up to this number they are read from there. And when that last rose: a
-- boot is known for a while longer, so that what its agent sends again is seen as such.
ALTER TABLE boots ADD COLUMN sealed_seq INTEGER NOT NULL DEFAULT 0;
ALTER TABLE boots ADD COLUMN sealed_ms INTEGER NOT NULL DEFAULT 0;

-- Before these times what is kept of each level is gone; NULL: it never was cut.
ALTER TABLE store ADD COLUMN raw_cut_ms INTEGER;
ALTER TABLE store ADD COLUMN five_minutes_cut_ms INTEGER;
ALTER TABLE store ADD COLUMN one_hour_cut_ms INTEGER;

-- Blocks of samples (level 0), roll-ups by 5 minutes (1) and by the hour (2). The bytes lie apart, so that a search
-- reads little. A roll-up that is not merged came with a block, and waits for the end of its day.
CREATE TABLE blocks (
  id        INTEGER PRIMARY KEY,
  level     INTEGER NOT NULL,
  day       INTEGER NOT NULL,
  agent     INTEGER NOT NULL,
  boot      INTEGER NOT NULL,
  first_seq INTEGER NOT NULL,
  last_seq  INTEGER NOT NULL,
  first_ms  INTEGER NOT NULL,
  last_ms   INTEGER NOT NULL,
  layout    INTEGER NOT NULL,
  samples   INTEGER NOT NULL,
  bytes     INTEGER NOT NULL,
  merged    INTEGER NOT NULL
);
CREATE INDEX blocks_by_agent ON blocks (agent, level, last_ms, first_ms);
CREATE INDEX blocks_by_time ON blocks (level, last_ms);
CREATE INDEX blocks_by_layout ON blocks (layout);
CREATE INDEX blocks_by_day ON blocks (day, agent, level) WHERE level = 1;
CREATE INDEX blocks_due ON blocks (day, agent) WHERE level = 1 AND merged = 0;
CREATE TABLE block_bodies (
  id   INTEGER PRIMARY KEY,
  body BLOB NOT NULL
);

-- An agent that was forgotten goes with its last boot and block: upkeep looks for them each minute.
CREATE INDEX IF NOT EXISTS boots_by_agent ON boots (agent);
