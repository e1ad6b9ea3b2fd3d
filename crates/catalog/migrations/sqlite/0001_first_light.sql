-- The first schema. Ids, words and JSON are TEXT, instants are BIGINT microseconds since 1970.
--
-- Text is compared byte by byte (the default here; "C" elsewhere), so that every engine sorts alike.
-- Rows of tenants do not reference users or projects: those may live in another identity service.
-- Records outlive what they are about (a backup its volume, a task its vault), so they name it without a reference.

CREATE TABLE volumes (
    id                TEXT PRIMARY KEY NOT NULL,
    project_id        TEXT NOT NULL,
    user_id           TEXT NOT NULL,
    name              TEXT,
    description       TEXT,
    size              BIGINT NOT NULL,
    status            TEXT NOT NULL,
    previous_status   TEXT,
    volume_type_id    TEXT,
    availability_zone TEXT NOT NULL,
    bootable          BOOLEAN NOT NULL,
    metadata          TEXT NOT NULL,
    snapshot_id       TEXT,
    source_volume_id  TEXT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT,
    revision          BIGINT NOT NULL
);
CREATE INDEX volumes_by_project ON volumes (project_id, created_at, id);
CREATE INDEX volumes_by_name ON volumes (project_id, name);

CREATE TABLE snapshots (
    id          TEXT PRIMARY KEY NOT NULL,
    volume_id   TEXT NOT NULL,
    project_id  TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    name        TEXT,
    description TEXT,
    size        BIGINT NOT NULL,
    status      TEXT NOT NULL,
    metadata    TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT,
    revision    BIGINT NOT NULL
);
CREATE INDEX snapshots_by_project ON snapshots (project_id, created_at, id);
CREATE INDEX snapshots_by_volume ON snapshots (volume_id);

CREATE TABLE volume_types (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    description TEXT,
    is_public   BOOLEAN NOT NULL,
    extra_specs TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);

-- sealed_at to bytes_stored, restore_target and reason are the facts of some states; the reader checks
-- that each state has exactly its own.
CREATE TABLE backups (
    id                TEXT PRIMARY KEY NOT NULL,
    project_id        TEXT NOT NULL,
    user_id           TEXT NOT NULL,
    volume_id         TEXT NOT NULL,
    volume_name       TEXT,
    snapshot_id       TEXT,
    vault_id          TEXT,
    checkpoint_id     TEXT,
    parent_id         TEXT,
    name              TEXT,
    description       TEXT,
    container         TEXT,
    availability_zone TEXT,
    metadata          TEXT NOT NULL,
    size              BIGINT NOT NULL,
    automatic         BOOLEAN NOT NULL,
    state             TEXT NOT NULL,
    sealed_at         BIGINT,
    bytes_read        BIGINT,
    bytes_data        BIGINT,
    bytes_new         BIGINT,
    bytes_stored      BIGINT,
    restore_target    TEXT,
    reason            TEXT,
    fail_reason       TEXT,
    restore_volume_id TEXT,
    data_timestamp    BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT,
    deleted_at        BIGINT,
    revision          BIGINT NOT NULL
);
-- Deleted rows stay for the record and would outnumber the others; lists leave them out.
CREATE INDEX backups_by_project ON backups (project_id, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_name ON backups (project_id, name) WHERE state <> 'deleted';
CREATE INDEX backups_by_volume ON backups (volume_id, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_vault ON backups (vault_id, created_at, id) WHERE state <> 'deleted';
CREATE INDEX backups_by_checkpoint ON backups (checkpoint_id) WHERE state <> 'deleted';
CREATE INDEX backups_by_parent ON backups (parent_id) WHERE state <> 'deleted';

CREATE TABLE vaults (
    id                 TEXT PRIMARY KEY NOT NULL,
    project_id         TEXT NOT NULL,
    user_id            TEXT NOT NULL,
    name               TEXT NOT NULL,
    description        TEXT,
    object_type        TEXT NOT NULL,
    protect_type       TEXT NOT NULL,
    size               BIGINT NOT NULL,
    status             TEXT NOT NULL,
    auto_expand        BOOLEAN NOT NULL,
    auto_bind          BOOLEAN NOT NULL,
    bind_rules         TEXT NOT NULL,
    tags               TEXT NOT NULL,
    locked             BOOLEAN NOT NULL,
    smn_notify         BOOLEAN NOT NULL,
    threshold          BIGINT NOT NULL,
    backup_name_prefix TEXT,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT,
    revision           BIGINT NOT NULL
);
CREATE INDEX vaults_by_project ON vaults (project_id, created_at, id);

-- The key says that a resource is in at most one vault; the reference, that a vault being
-- removed and a resource being added to it cannot both succeed. `added` counts within a vault.
CREATE TABLE vault_resources (
    volume_id    TEXT PRIMARY KEY NOT NULL,
    vault_id     TEXT NOT NULL REFERENCES vaults (id),
    name         TEXT,
    size         BIGINT NOT NULL,
    status       TEXT NOT NULL,
    auto_protect BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    added        BIGINT NOT NULL,
    revision     BIGINT NOT NULL
);
CREATE INDEX vault_resources_by_vault ON vault_resources (vault_id, added);

CREATE TABLE checkpoints (
    id             TEXT PRIMARY KEY NOT NULL,
    project_id     TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    vault_id       TEXT NOT NULL,
    name           TEXT NOT NULL,
    description    TEXT,
    automatic      BOOLEAN NOT NULL,
    retention_days BIGINT,
    status         TEXT NOT NULL,
    resources      TEXT NOT NULL,
    skipped        TEXT NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT,
    revision       BIGINT NOT NULL
);

-- `kind` repeats the word in `work`, for filters; worker, lease_until and reason are facts of some states.
CREATE TABLE tasks (
    id            TEXT PRIMARY KEY NOT NULL,
    project_id    TEXT NOT NULL,
    user_id       TEXT NOT NULL,
    request_id    TEXT NOT NULL,
    kind          TEXT NOT NULL,
    work          TEXT NOT NULL,
    state         TEXT NOT NULL,
    worker        TEXT,
    lease_until   BIGINT,
    reason        TEXT,
    generation    BIGINT NOT NULL,
    bytes_done    BIGINT NOT NULL,
    bytes_total   BIGINT NOT NULL,
    bytes_per_sec BIGINT NOT NULL,
    cancel_asked  BOOLEAN NOT NULL,
    not_before    BIGINT NOT NULL,
    volume_id     TEXT,
    volume_name   TEXT,
    backup_id     TEXT,
    backup_name   TEXT,
    vault_id      TEXT,
    vault_name    TEXT,
    checkpoint_id TEXT,
    created_at    BIGINT NOT NULL,
    started_at    BIGINT,
    updated_at    BIGINT NOT NULL,
    ended_at      BIGINT,
    revision      BIGINT NOT NULL
);
CREATE INDEX tasks_by_project ON tasks (project_id, created_at, id);
CREATE INDEX tasks_by_volume ON tasks (volume_id);
CREATE INDEX tasks_by_backup ON tasks (backup_id);
CREATE INDEX tasks_by_vault ON tasks (vault_id, created_at, id);
CREATE INDEX tasks_by_checkpoint ON tasks (checkpoint_id);
-- Ended tasks pile up; whoever looks for work must not walk over them.
CREATE INDEX tasks_waiting ON tasks (not_before) WHERE state = 'waiting';
CREATE INDEX tasks_running ON tasks (lease_until) WHERE state = 'running';

CREATE TABLE projects (
    id          TEXT PRIMARY KEY NOT NULL,
    name        TEXT NOT NULL UNIQUE,
    description TEXT NOT NULL,
    enabled     BOOLEAN NOT NULL,
    created_at  BIGINT NOT NULL,
    revision    BIGINT NOT NULL
);

CREATE TABLE users (
    id                 TEXT PRIMARY KEY NOT NULL,
    name               TEXT NOT NULL UNIQUE,
    password_hash      TEXT NOT NULL,
    default_project_id TEXT,
    enabled            BOOLEAN NOT NULL,
    created_at         BIGINT NOT NULL,
    revision           BIGINT NOT NULL
);

CREATE TABLE tokens (
    hash       TEXT PRIMARY KEY NOT NULL,
    user_id    TEXT NOT NULL,
    project_id TEXT,
    methods    TEXT NOT NULL,
    audit_ids  TEXT NOT NULL,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked    BOOLEAN NOT NULL
);
CREATE INDEX tokens_by_end ON tokens (expires_at);

CREATE TABLE assignments (
    user_id    TEXT NOT NULL,
    project_id TEXT NOT NULL,
    role       TEXT NOT NULL,
    PRIMARY KEY (user_id, project_id, role)
);
