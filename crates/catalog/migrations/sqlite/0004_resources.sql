-- Servers and file systems: what vaults protect besides single volumes.

CREATE TABLE servers (
    id          TEXT PRIMARY KEY NOT NULL,
    project_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    facts       TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT,
    revision    BIGINT NOT NULL
);
CREATE INDEX servers_by_project ON servers (project_id, created_at, id);

-- The key says that a volume belongs to one server at most; the reference, that a server being
-- removed and one that is given a volume cannot both succeed.
CREATE TABLE server_volumes (
    volume_id  TEXT PRIMARY KEY NOT NULL,
    server_id  TEXT NOT NULL REFERENCES servers (id),
    created_at BIGINT NOT NULL,
    added      BIGINT NOT NULL,
    revision   BIGINT NOT NULL
);
CREATE INDEX server_volumes_by_server ON server_volumes (server_id, added);

CREATE TABLE file_systems (
    id          TEXT PRIMARY KEY NOT NULL,
    project_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    name        TEXT NOT NULL,
    description TEXT,
    path        TEXT NOT NULL UNIQUE,
    size        BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT,
    revision    BIGINT NOT NULL
);
CREATE INDEX file_systems_by_project ON file_systems (project_id, created_at, id);

ALTER TABLE vault_resources RENAME COLUMN volume_id TO resource_id;
ALTER TABLE vault_resources ADD COLUMN choice TEXT NOT NULL DEFAULT '{}';

-- A backup of a server or file system has that one's id in volume_id.
ALTER TABLE backups ADD COLUMN kind TEXT NOT NULL DEFAULT 'disk';
ALTER TABLE backups ADD COLUMN part_of TEXT;
ALTER TABLE backups ADD COLUMN server TEXT;
CREATE INDEX backups_by_whole ON backups (part_of) WHERE part_of IS NOT NULL AND state <> 'deleted';

ALTER TABLE tasks ADD COLUMN object_type TEXT NOT NULL DEFAULT 'disk';
