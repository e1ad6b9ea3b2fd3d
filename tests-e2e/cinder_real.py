"""The released Cinder as a library: its objects over a database file, its posix driver over a directory."""

import os
import tempfile
import uuid

import oslo_messaging.notify.notifier as notifier
from oslo_config import cfg

from cinder import context, objects
from cinder.backup.drivers import posix
from cinder.db import migration

SERVICE = "cinder.backup.drivers.posix.PosixBackupDriver"
CONF = cfg.CONF


class RealCinder:
    """One database and one repository, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.repository = os.path.join(folder, "repository")
        os.makedirs(self.repository, exist_ok=True)
        objects.register_all()
        CONF.register_opts(notifier._notifier_opts, group="oslo_messaging_notifications")
        CONF([], project="cinder", default_config_files=[])
        CONF.set_override("connection", f"sqlite:///{folder}/cinder.sqlite", "database")
        CONF.set_override("state_path", folder)
        CONF.set_override("backup_posix_path", self.repository)
        migration.db_sync()
        self.context = context.RequestContext("u" * 32, "a" * 32, is_admin=True)

    def driver(self, compression=None, file_size=None, block_size=None):
        """The posix driver with these options, or Cinder's own defaults."""
        for option, value in (
            ("backup_compression_algorithm", compression),
            ("backup_file_size", file_size),
            ("backup_sha_block_size_bytes", block_size),
        ):
            if value is None:
                CONF.clear_override(option)
            else:
                CONF.set_override(option, value)
        return posix.PosixBackupDriver(self.context)

    def volume(self, gib=1):
        """A volume's row."""
        row = objects.Volume(
            self.context, size=gib, user_id="u" * 32, project_id="a" * 32, status="available",
            display_name="disk", host="h@b#p", availability_zone="nova",
        )
        row.create()
        return row

    def backup(self, driver, volume, image, parent=None):
        """Backs an image up with the driver; the row afterwards."""
        row = objects.Backup(
            self.context, user_id="u" * 32, project_id="a" * 32, volume_id=volume.id, status="creating",
            host="h", size=volume.size, parent_id=parent.id if parent else None, service=SERVICE,
            display_name="theirs",
        )
        row.create()
        with open(image, "rb") as file:
            driver.backup(row, file)
        row.refresh()
        row.status = "available"
        row.save()
        return row

    def take_up(self, record):
        """Imports a record as the backup service does; the row afterwards."""
        options = objects.Backup.decode_record(record)
        row = objects.BackupImport(
            self.context, id=options["id"], user_id="u" * 32, project_id="a" * 32,
            volume_id=str(uuid.UUID(int=0)), host="h", status="creating", size=options["size"],
        )
        row.create()
        needed = ["display_name", "display_description", "container", "size", "service_metadata", "object_count", "id"]
        missing = [name for name in needed if name not in options]
        assert not missing, f"fields are missing: {missing}"
        update = {name: options[name] for name in needed if name != "id"}
        for name in ("volume_id", "parent_id"):
            update[name] = options[name]
        update.update(service=SERVICE, status="available")
        row.update(update)
        row.save()
        return objects.Backup.get_by_id(self.context, row.id)

    def restore(self, driver, row, path, is_new=False):
        """Restores a backup over what the file holds."""
        row.status = "restoring"
        row.save()
        with open(path, "r+b") as file:
            driver.restore(row, row.volume_id, file, is_new)
        row.status = "available"
        row.save()


def folder():
    """A folder that goes at the end."""
    return tempfile.TemporaryDirectory(prefix="emberkeep-cinder-")
