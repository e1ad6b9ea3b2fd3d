-- How many rows there are of each kind that lists count, kept by the database itself with every change, so that
-- counting costs the same whatever the number of rows. A vault that is none is '' here: keys hold no NULL.

CREATE TABLE backup_counts (
    project_id TEXT NOT NULL,
    vault_id   TEXT NOT NULL,
    state      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    part       BOOLEAN NOT NULL,
    replica    BOOLEAN NOT NULL,
    rows       BIGINT NOT NULL,
    size       BIGINT NOT NULL,
    stored     BIGINT NOT NULL,
    PRIMARY KEY (project_id, vault_id, state, kind, part, replica)
) WITHOUT ROWID;
CREATE INDEX backup_counts_by_vault ON backup_counts (vault_id);

CREATE TRIGGER backups_counted AFTER INSERT ON backups
BEGIN
    INSERT INTO backup_counts VALUES (
        NEW.project_id, COALESCE(NEW.vault_id, ''), NEW.state, NEW.kind, NEW.part_of IS NOT NULL,
        NEW.replica_of IS NOT NULL, 1, NEW.size, COALESCE(NEW.bytes_stored, 0)
    )
    ON CONFLICT (project_id, vault_id, state, kind, part, replica) DO UPDATE
    SET rows = rows + 1, size = size + excluded.size, stored = stored + excluded.stored;
END;

CREATE TRIGGER backups_uncounted AFTER DELETE ON backups
BEGIN
    UPDATE backup_counts
    SET rows = rows - 1, size = size - OLD.size, stored = stored - COALESCE(OLD.bytes_stored, 0)
    WHERE project_id = OLD.project_id AND vault_id = COALESCE(OLD.vault_id, '') AND state = OLD.state
    AND kind = OLD.kind AND part = (OLD.part_of IS NOT NULL) AND replica = (OLD.replica_of IS NOT NULL);
    DELETE FROM backup_counts
    WHERE project_id = OLD.project_id AND vault_id = COALESCE(OLD.vault_id, '') AND state = OLD.state
    AND kind = OLD.kind AND part = (OLD.part_of IS NOT NULL) AND replica = (OLD.replica_of IS NOT NULL)
    AND rows = 0;
END;

CREATE TRIGGER backups_recounted AFTER UPDATE ON backups
WHEN OLD.state <> NEW.state OR OLD.size <> NEW.size OR OLD.bytes_stored IS NOT NEW.bytes_stored
    OR OLD.vault_id IS NOT NEW.vault_id OR OLD.project_id <> NEW.project_id OR OLD.kind <> NEW.kind
    OR OLD.part_of IS NOT NEW.part_of OR OLD.replica_of IS NOT NEW.replica_of
BEGIN
    UPDATE backup_counts
    SET rows = rows - 1, size = size - OLD.size, stored = stored - COALESCE(OLD.bytes_stored, 0)
    WHERE project_id = OLD.project_id AND vault_id = COALESCE(OLD.vault_id, '') AND state = OLD.state
    AND kind = OLD.kind AND part = (OLD.part_of IS NOT NULL) AND replica = (OLD.replica_of IS NOT NULL);
    DELETE FROM backup_counts
    WHERE project_id = OLD.project_id AND vault_id = COALESCE(OLD.vault_id, '') AND state = OLD.state
    AND kind = OLD.kind AND part = (OLD.part_of IS NOT NULL) AND replica = (OLD.replica_of IS NOT NULL)
    AND rows = 0;
    INSERT INTO backup_counts VALUES (
        NEW.project_id, COALESCE(NEW.vault_id, ''), NEW.state, NEW.kind, NEW.part_of IS NOT NULL,
        NEW.replica_of IS NOT NULL, 1, NEW.size, COALESCE(NEW.bytes_stored, 0)
    )
    ON CONFLICT (project_id, vault_id, state, kind, part, replica) DO UPDATE
    SET rows = rows + 1, size = size + excluded.size, stored = stored + excluded.stored;
END;

INSERT INTO backup_counts
SELECT project_id, COALESCE(vault_id, ''), state, kind, part_of IS NOT NULL, replica_of IS NOT NULL,
       COUNT(*), SUM(size), SUM(COALESCE(bytes_stored, 0))
FROM backups GROUP BY 1, 2, 3, 4, 5, 6;

CREATE TABLE task_counts (
    project_id  TEXT NOT NULL,
    kind        TEXT NOT NULL,
    state       TEXT NOT NULL,
    object_type TEXT NOT NULL,
    rows        BIGINT NOT NULL,
    PRIMARY KEY (project_id, kind, state, object_type)
) WITHOUT ROWID;

CREATE TRIGGER tasks_counted AFTER INSERT ON tasks
BEGIN
    INSERT INTO task_counts VALUES (NEW.project_id, NEW.kind, NEW.state, NEW.object_type, 1)
    ON CONFLICT (project_id, kind, state, object_type) DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER tasks_uncounted AFTER DELETE ON tasks
BEGIN
    UPDATE task_counts SET rows = rows - 1
    WHERE project_id = OLD.project_id AND kind = OLD.kind AND state = OLD.state AND object_type = OLD.object_type;
    DELETE FROM task_counts
    WHERE project_id = OLD.project_id AND kind = OLD.kind AND state = OLD.state AND object_type = OLD.object_type
    AND rows = 0;
END;

CREATE TRIGGER tasks_recounted AFTER UPDATE ON tasks
WHEN OLD.state <> NEW.state OR OLD.kind <> NEW.kind OR OLD.object_type <> NEW.object_type
    OR OLD.project_id <> NEW.project_id
BEGIN
    UPDATE task_counts SET rows = rows - 1
    WHERE project_id = OLD.project_id AND kind = OLD.kind AND state = OLD.state AND object_type = OLD.object_type;
    DELETE FROM task_counts
    WHERE project_id = OLD.project_id AND kind = OLD.kind AND state = OLD.state AND object_type = OLD.object_type
    AND rows = 0;
    INSERT INTO task_counts VALUES (NEW.project_id, NEW.kind, NEW.state, NEW.object_type, 1)
    ON CONFLICT (project_id, kind, state, object_type) DO UPDATE SET rows = rows + 1;
END;

INSERT INTO task_counts
SELECT project_id, kind, state, object_type, COUNT(*) FROM tasks GROUP BY 1, 2, 3, 4;

CREATE TABLE vault_counts (
    project_id   TEXT NOT NULL,
    object_type  TEXT NOT NULL,
    protect_type TEXT NOT NULL,
    status       TEXT NOT NULL,
    rows         BIGINT NOT NULL,
    PRIMARY KEY (project_id, object_type, protect_type, status)
) WITHOUT ROWID;

CREATE TRIGGER vaults_counted AFTER INSERT ON vaults
BEGIN
    INSERT INTO vault_counts VALUES (NEW.project_id, NEW.object_type, NEW.protect_type, NEW.status, 1)
    ON CONFLICT (project_id, object_type, protect_type, status) DO UPDATE SET rows = rows + 1;
END;

CREATE TRIGGER vaults_uncounted AFTER DELETE ON vaults
BEGIN
    UPDATE vault_counts SET rows = rows - 1
    WHERE project_id = OLD.project_id AND object_type = OLD.object_type AND protect_type = OLD.protect_type
    AND status = OLD.status;
    DELETE FROM vault_counts
    WHERE project_id = OLD.project_id AND object_type = OLD.object_type AND protect_type = OLD.protect_type
    AND status = OLD.status AND rows = 0;
END;

CREATE TRIGGER vaults_recounted AFTER UPDATE ON vaults
WHEN OLD.status <> NEW.status OR OLD.object_type <> NEW.object_type OR OLD.protect_type <> NEW.protect_type
    OR OLD.project_id <> NEW.project_id
BEGIN
    UPDATE vault_counts SET rows = rows - 1
    WHERE project_id = OLD.project_id AND object_type = OLD.object_type AND protect_type = OLD.protect_type
    AND status = OLD.status;
    DELETE FROM vault_counts
    WHERE project_id = OLD.project_id AND object_type = OLD.object_type AND protect_type = OLD.protect_type
    AND status = OLD.status AND rows = 0;
    INSERT INTO vault_counts VALUES (NEW.project_id, NEW.object_type, NEW.protect_type, NEW.status, 1)
    ON CONFLICT (project_id, object_type, protect_type, status) DO UPDATE SET rows = rows + 1;
END;

INSERT INTO vault_counts
SELECT project_id, object_type, protect_type, status, COUNT(*) FROM vaults GROUP BY 1, 2, 3, 4;

-- What is skipped on the way to a page is skipped without looking at the rows themselves.
DROP INDEX backups_by_project;
CREATE INDEX backups_by_project ON backups (project_id, created_at, id, kind, part_of, vault_id)
WHERE state <> 'deleted';
-- Tasks are listed by what they are about, and of some kinds only.
DROP INDEX tasks_by_project;
CREATE INDEX tasks_by_project ON tasks (project_id, created_at, id, kind, state);
