-- How many bytes the blocks of each level take: the budget asks for it again and again, and blocks are many.
ALTER TABLE store ADD COLUMN raw_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN five_minutes_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN one_hour_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE store SET
  raw_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM blocks WHERE level = 0),
  five_minutes_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM blocks WHERE level = 1),
  one_hour_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM blocks WHERE level = 2);

CREATE TRIGGER blocks_came AFTER INSERT ON blocks BEGIN
  UPDATE store SET
    raw_bytes = raw_bytes + (new.level = 0) * (new.bytes + 256),
    five_minutes_bytes = five_minutes_bytes + (new.level = 1) * (new.bytes + 256),
    one_hour_bytes = one_hour_bytes + (new.level = 2) * (new.bytes + 256);
END;
CREATE TRIGGER blocks_went AFTER DELETE ON blocks BEGIN
  UPDATE store SET
    raw_bytes = raw_bytes - (old.level = 0) * (old.bytes + 256),
    five_minutes_bytes = five_minutes_bytes - (old.level = 1) * (old.bytes + 256),
    one_hour_bytes = one_hour_bytes - (old.level = 2) * (old.bytes + 256);
END;
