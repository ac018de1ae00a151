-- What alerting must not lose: elements' lives, conversations, notices, silences and the like. A kind's number and
-- how long it is kept are the program's own; the body is read by nobody here. Keys are the bytes of a text.
CREATE TABLE farol.documents (
  kind  SMALLINT NOT NULL,
  key   BYTEA NOT NULL,
  at_ms BIGINT NOT NULL,
  body  BYTEA NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE INDEX documents_by_time ON farol.documents (kind, at_ms, key);

-- How many bytes they take: the budget asks for it again and again.
ALTER TABLE farol.store ADD COLUMN document_bytes BIGINT NOT NULL DEFAULT 0;

-- Its argument: whether they came (1) or went (-1).
CREATE FUNCTION farol.count_documents() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE farol.store SET document_bytes = document_bytes + tg_argv[0]::bigint * (
    SELECT coalesce(sum(octet_length(key) + octet_length(body) + 64), 0)::bigint FROM changed)
  WHERE EXISTS (SELECT FROM changed);
  RETURN NULL;
END $$;
CREATE TRIGGER documents_came AFTER INSERT ON farol.documents REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_documents('1');
CREATE TRIGGER documents_left AFTER UPDATE ON farol.documents REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_documents('-1');
CREATE TRIGGER documents_replaced AFTER UPDATE ON farol.documents REFERENCING NEW TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_documents('1');
CREATE TRIGGER documents_went AFTER DELETE ON farol.documents REFERENCING OLD TABLE AS changed
  FOR EACH STATEMENT EXECUTE FUNCTION farol.count_documents('-1');
