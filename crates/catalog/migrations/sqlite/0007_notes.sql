-- What a task has to tell beside how it ended, e.g. the files that it could not read.

ALTER TABLE tasks ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';

-- The tenant's own pairs, by which a vault takes a file system in.
ALTER TABLE file_systems ADD COLUMN metadata TEXT NOT NULL DEFAULT '{}';
