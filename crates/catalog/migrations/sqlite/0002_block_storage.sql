-- What Block Storage keeps besides: Cinder's own facts of backups and volumes, attachments, messages,
-- quotas, switches of its services, and application credentials.

-- content_project and content_id name whose content a backup shows where that is not its own.
ALTER TABLE backups ADD COLUMN content_project TEXT;
ALTER TABLE backups ADD COLUMN content_id TEXT;
ALTER TABLE backups ADD COLUMN cinder TEXT NOT NULL DEFAULT '{}';
-- Clients filter by status all the time, and few backups are in any but one.
CREATE INDEX backups_by_state ON backups (project_id, state, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_content ON backups (content_id) WHERE content_id IS NOT NULL;

ALTER TABLE volumes ADD COLUMN readonly BOOLEAN;
ALTER TABLE volumes ADD COLUMN image_metadata TEXT NOT NULL DEFAULT '{}';
ALTER TABLE volumes ADD COLUMN growing_to BIGINT;

ALTER TABLE volume_types ADD COLUMN access TEXT NOT NULL DEFAULT '[]';

ALTER TABLE tokens ADD COLUMN app_credential_id TEXT;

CREATE TABLE attachments (
    id          TEXT PRIMARY KEY NOT NULL,
    volume_id   TEXT NOT NULL,
    project_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    instance_id TEXT,
    host        TEXT,
    mountpoint  TEXT,
    mode        TEXT NOT NULL,
    status      TEXT NOT NULL,
    connector   TEXT NOT NULL,
    attached_at BIGINT,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);
-- A volume is in one hand at a time.
CREATE UNIQUE INDEX attachments_by_volume ON attachments (volume_id);
CREATE INDEX attachments_by_project ON attachments (project_id, created_at, id);

CREATE TABLE messages (
    id            TEXT PRIMARY KEY NOT NULL,
    project_id    TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    resource_id   TEXT NOT NULL,
    action        TEXT NOT NULL,
    detail        TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    revision      BIGINT NOT NULL
);
CREATE INDEX messages_by_project ON messages (project_id, created_at, id);
CREATE INDEX messages_by_end ON messages (expires_at);

CREATE TABLE quota_sets (
    project_id TEXT PRIMARY KEY NOT NULL,
    limits     TEXT NOT NULL,
    revision   BIGINT NOT NULL
);

CREATE TABLE quota_classes (
    name     TEXT PRIMARY KEY NOT NULL,
    limits   TEXT NOT NULL,
    revision BIGINT NOT NULL
);

CREATE TABLE service_switches (
    binary_name     TEXT PRIMARY KEY NOT NULL,
    disabled        BOOLEAN NOT NULL,
    disabled_reason TEXT,
    updated_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);

CREATE TABLE app_credentials (
    id           TEXT PRIMARY KEY NOT NULL,
    user_id      TEXT NOT NULL,
    project_id   TEXT NOT NULL,
    name         TEXT NOT NULL,
    description  TEXT,
    secret_hash  TEXT NOT NULL,
    roles        TEXT NOT NULL,
    unrestricted BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revision     BIGINT NOT NULL,
    UNIQUE (user_id, name)
);
