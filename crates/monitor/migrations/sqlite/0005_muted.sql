-- A window mutes the component from then on: what it shows is true, and its uptime is not counted.
ALTER TABLE status_changes ADD COLUMN muted INTEGER NOT NULL DEFAULT 0;
