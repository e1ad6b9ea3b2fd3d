-- What CBR keeps besides: policies and the vaults they are bound to, shares of backups, expiry.

CREATE TABLE policies (
    id             TEXT PRIMARY KEY NOT NULL,
    project_id     TEXT NOT NULL,
    user_id        TEXT NOT NULL,
    name           TEXT NOT NULL,
    enabled        BOOLEAN NOT NULL,
    operation_type TEXT NOT NULL,
    definition     TEXT NOT NULL,
    patterns       TEXT NOT NULL,
    zone           TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT,
    revision       BIGINT NOT NULL
);
CREATE INDEX policies_by_project ON policies (project_id, created_at, id);

-- The references say that a vault or a policy being removed and the two being bound cannot
-- both succeed.
CREATE TABLE policy_bindings (
    policy_id            TEXT NOT NULL REFERENCES policies (id),
    vault_id             TEXT NOT NULL REFERENCES vaults (id),
    destination_vault_id TEXT,
    settled_until        BIGINT NOT NULL,
    revision             BIGINT NOT NULL,
    PRIMARY KEY (policy_id, vault_id)
);
CREATE INDEX policy_bindings_by_vault ON policy_bindings (vault_id);

CREATE TABLE members (
    id              TEXT PRIMARY KEY NOT NULL,
    backup_id       TEXT NOT NULL,
    dest_project_id TEXT NOT NULL,
    status          TEXT NOT NULL,
    vault_id        TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT,
    revision        BIGINT NOT NULL,
    UNIQUE (backup_id, dest_project_id)
);
CREATE INDEX members_by_project ON members (dest_project_id);

ALTER TABLE backups ADD COLUMN policy_id TEXT;
ALTER TABLE backups ADD COLUMN expires_at BIGINT;

ALTER TABLE tasks ADD COLUMN policy_id TEXT;
