-- How many bytes the blocks of each level take: the budget asks for it again and again, and blocks are many.
ALTER TABLE farol.store ADD COLUMN raw_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE farol.store ADD COLUMN five_minutes_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE farol.store ADD COLUMN one_hour_bytes BIGINT NOT NULL DEFAULT 0;
UPDATE farol.store SET
  raw_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM farol.blocks WHERE level = 0),
  five_minutes_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM farol.blocks WHERE level = 1),
  one_hour_bytes = (SELECT coalesce(sum(bytes + 256), 0) FROM farol.blocks WHERE level = 2);

-- Its argument: whether they came (1) or went (-1).
CREATE FUNCTION farol.count_blocks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE farol.store SET
    raw_bytes = raw_bytes + tg_argv[0]::bigint * c.raw,
    five_minutes_bytes = five_minutes_bytes + tg_argv[0]::bigint * c.five_minutes,
    one_hour_bytes = one_hour_bytes + tg_argv[0]::bigint * c.one_hour
  FROM (
    SELECT coalesce(sum(bytes + 256) FILTER (WHERE level = 0), 0)::bigint AS raw,
      coalesce(sum(bytes + 256) FILTER (WHERE level = 1), 0)::bigint AS five_minutes,
      coalesce(sum(bytes + 256) FILTER (WHERE level = 2), 0)::bigint AS one_hour
    FROM changed) c;
  RETURN NULL;
END $$;
CREATE TRIGGER blocks_came AFTER INSERT ON farol.blocks REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_blocks('1');
CREATE TRIGGER blocks_went AFTER DELETE ON farol.blocks REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_blocks('-1');
