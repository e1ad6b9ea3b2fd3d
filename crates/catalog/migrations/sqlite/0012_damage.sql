-- What is known of damage of a backup's stored data: what, which bytes, since when, found by what. NULL for none.

ALTER TABLE backups ADD COLUMN damage TEXT;
