-- Why a vault is frozen, while it is.

ALTER TABLE vaults ADD COLUMN frozen_scene TEXT;
