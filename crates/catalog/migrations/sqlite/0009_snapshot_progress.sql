-- How far taking a snapshot has come: who keeps it may say so (os-update_snapshot_status).

ALTER TABLE snapshots ADD COLUMN progress INTEGER NOT NULL DEFAULT 100;
UPDATE snapshots SET progress = 0 WHERE status IN ('creating', 'error');
