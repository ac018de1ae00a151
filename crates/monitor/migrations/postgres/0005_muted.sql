-- A window mutes the component from then on: what it shows is true, and its uptime is not counted.
ALTER TABLE farol.status_changes ADD COLUMN muted BOOLEAN NOT NULL DEFAULT false;
