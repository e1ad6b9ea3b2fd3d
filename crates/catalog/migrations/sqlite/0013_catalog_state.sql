-- What the catalog knows of itself, by name: its latest sealed copy ('last_copy'), and the backups in the store that
-- the operator told it to leave alone ('accepted').

CREATE TABLE catalog_state (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
