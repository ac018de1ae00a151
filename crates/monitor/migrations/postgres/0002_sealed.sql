-- Sealed blocks and roll-ups: the journal then holds only what is not sealed.

-- How far a boot's reports stand in blocks: up to this number they are read from there. And when that last rose: a
-- boot is known for a while longer, so that what its agent sends again is seen as such.
ALTER TABLE farol.boots ADD COLUMN sealed_seq BIGINT NOT NULL DEFAULT 0;
ALTER TABLE farol.boots ADD COLUMN sealed_ms BIGINT NOT NULL DEFAULT 0;

-- Before these times what is kept of each level is gone; NULL: it never was cut.
ALTER TABLE farol.store ADD COLUMN raw_cut_ms BIGINT;
ALTER TABLE farol.store ADD COLUMN five_minutes_cut_ms BIGINT;
ALTER TABLE farol.store ADD COLUMN one_hour_cut_ms BIGINT;

-- Blocks of samples (level 0), roll-ups by 5 minutes (1) and by the hour (2); the bytes are packed already. A roll-up
-- that is not merged came with a block, and waits for the end of its day.
CREATE TABLE farol.blocks (
  id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  level     BIGINT NOT NULL,
  day       BIGINT NOT NULL,
  agent     BIGINT NOT NULL,
  boot      BIGINT NOT NULL,
  first_seq BIGINT NOT NULL,
  last_seq  BIGINT NOT NULL,
  first_ms  BIGINT NOT NULL,
  last_ms   BIGINT NOT NULL,
  layout    BIGINT NOT NULL,
  samples   BIGINT NOT NULL,
  bytes     BIGINT NOT NULL,
  merged    BOOLEAN NOT NULL,
  body      BYTEA NOT NULL
);
ALTER TABLE farol.blocks ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE INDEX blocks_by_agent ON farol.blocks (agent, level, last_ms, first_ms);
CREATE INDEX blocks_by_time ON farol.blocks (level, last_ms);
CREATE INDEX blocks_by_layout ON farol.blocks (layout);
CREATE INDEX blocks_by_day ON farol.blocks (day, agent, level) WHERE level = 1;
CREATE INDEX blocks_due ON farol.blocks (day, agent) WHERE level = 1 AND NOT merged;
