-- What alerting must not lose: elements' lives, conversations, notices, silences and the like. A kind's number and
-- how long it is kept are the program's own; the body is read by nobody here. Keys are the bytes of a text.
CREATE TABLE documents (
  kind  INTEGER NOT NULL,
  key   BLOB NOT NULL,
  at_ms INTEGER NOT NULL,
  body  BLOB NOT NULL,
  PRIMARY KEY (kind, key)
);
CREATE INDEX documents_by_time ON documents (kind, at_ms, key);

-- How many bytes they take: the budget asks for it again and again.
ALTER TABLE store ADD COLUMN document_bytes INTEGER NOT NULL DEFAULT 0;
CREATE TRIGGER documents_came AFTER INSERT ON documents BEGIN
  UPDATE store SET document_bytes = document_bytes + length(new.key) + length(new.body) + 64;
END;
CREATE TRIGGER documents_changed AFTER UPDATE OF body ON documents BEGIN
  UPDATE store SET document_bytes = document_bytes + length(new.body) - length(old.body);
END;
CREATE TRIGGER documents_went AFTER DELETE ON documents BEGIN
  UPDATE store SET document_bytes = document_bytes - length(old.key) - length(old.body) - 64;
END;
