-- Copies of backups in other regions: where one lies, and what it is a copy of.

ALTER TABLE backups ADD COLUMN replica TEXT;
ALTER TABLE backups ADD COLUMN replica_of TEXT;
CREATE INDEX backups_by_source ON backups (replica_of) WHERE replica_of IS NOT NULL;
