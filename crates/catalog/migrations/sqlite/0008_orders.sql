-- An index for every order and filter that clients of Block Storage and CBR ask backups by, so that a page
-- costs the same whatever the number of rows. Each ends as the orders do: created_at, id.

DROP INDEX backups_by_name;
CREATE INDEX backups_by_name ON backups (project_id, name, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_size ON backups (project_id, size, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_update ON backups (project_id, updated_at, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_data ON backups (project_id, data_timestamp, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_seal ON backups (project_id, sealed_at, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_id ON backups (project_id, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_project_volume ON backups (project_id, volume_id, created_at, id) WHERE state <> 'deleted';
-- Administrators list all projects at once.
CREATE INDEX backups_by_age ON backups (created_at, id) WHERE state <> 'deleted';

DROP INDEX volumes_by_name;
CREATE INDEX volumes_by_name ON volumes (project_id, name, created_at, id);
CREATE INDEX volumes_by_status ON volumes (project_id, status, created_at, id);
CREATE INDEX volumes_by_size ON volumes (project_id, size, created_at, id);
CREATE INDEX volumes_by_age ON volumes (created_at, id);

CREATE INDEX snapshots_by_name ON snapshots (project_id, name, created_at, id);
CREATE INDEX snapshots_by_status ON snapshots (project_id, status, created_at, id);
CREATE INDEX snapshots_by_age ON snapshots (created_at, id);
