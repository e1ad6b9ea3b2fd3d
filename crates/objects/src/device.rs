//! What a volume service answers when asked for something to back up.

use crate::class::{DEVICE, DEVICE_FIELDS, place};
use crate::data::{BackupDeviceInfo, Context, Core, Snapshot, Value, Volume};
use crate::error::ObjectError;
use crate::json::Dict;
use crate::key::{Field, Key};
use crate::object::VersionedObject;

/// The one that is set; nothing in it if it is set to null.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Device<'a> {
    /// A volume.
    Volume(Option<&'a Volume>),
    /// A snapshot.
    Snapshot(Option<&'a Snapshot>),
}

/// The device in the form that very old services send.
#[derive(Debug, Clone, PartialEq)]
pub struct LegacyDeviceInfo {
    /// Whether the device is a snapshot.
    pub is_snapshot: bool,
    /// The device.
    pub backup_device: LegacyDevice,
    /// Whether files must be opened as root.
    pub secure_enabled: bool,
}

/// A device in the old form.
#[derive(Debug, Clone, PartialEq)]
pub enum LegacyDevice {
    /// A volume that is an object already.
    Volume(Box<Volume>),
    /// A snapshot that is an object already.
    Snapshot(Box<Snapshot>),
    /// A row of the database; which kind, the info says.
    Row(Dict),
}

const fn key<T>(name: &str) -> Key<BackupDeviceInfo, T> {
    Key::at(place(DEVICE_FIELDS, name))
}

#[expect(missing_docs, reason = "each key is the field it is named for")]
impl BackupDeviceInfo {
    pub const VOLUME: Key<Self, Volume> = key("volume");
    pub const SNAPSHOT: Key<Self, Snapshot> = key("snapshot");
    pub const SECURE_ENABLED: Key<Self, bool> = key("secure_enabled");
}

impl BackupDeviceInfo {
    /// Makes an info with nothing set.
    pub fn new(context: Option<Context>) -> Self {
        Self {
            core: Core::new(&DEVICE, context),
        }
    }

    /// Tells whether the device is a snapshot; exactly one of the two must be set, be it to null.
    pub fn is_snapshot(&self) -> Result<bool, ObjectError> {
        let snapshot = self.get(Self::SNAPSHOT).is_set();
        if snapshot == self.get(Self::VOLUME).is_set() {
            return Err(ObjectError::AmbiguousDevice);
        }
        Ok(snapshot)
    }

    /// Returns the device that is set.
    pub fn device(&self) -> Result<Device<'_>, ObjectError> {
        Ok(if self.is_snapshot()? {
            Device::Snapshot(self.get(Self::SNAPSHOT).value())
        } else {
            Device::Volume(self.get(Self::VOLUME).value())
        })
    }

    /// Takes the old form.
    pub fn from_legacy(
        legacy: LegacyDeviceInfo,
        context: Option<&Context>,
    ) -> Result<Self, ObjectError> {
        let mut info = Self::new(None);
        match (legacy.is_snapshot, legacy.backup_device) {
            (true, LegacyDevice::Row(row)) => {
                info.set(Self::SNAPSHOT, Snapshot::from_row(row, context.cloned())?)?;
            }
            (false, LegacyDevice::Row(row)) => {
                info.set(Self::VOLUME, Volume::from_row(row, context.cloned())?)?;
            }
            (true, LegacyDevice::Snapshot(snapshot)) => info.set(Self::SNAPSHOT, *snapshot)?,
            (false, LegacyDevice::Volume(volume)) => info.set(Self::VOLUME, *volume)?,
            (true, LegacyDevice::Volume(_)) | (false, LegacyDevice::Snapshot(_)) => {
                return Err(ObjectError::AmbiguousDevice);
            }
        }
        info.set(Self::SECURE_ENABLED, legacy.secure_enabled)?;
        Ok(info)
    }

    /// Gives the old form; `row` is the device's row in the database.
    pub fn to_legacy(&self, row: Dict) -> Result<LegacyDeviceInfo, ObjectError> {
        let secure_enabled = match self.get(Self::SECURE_ENABLED) {
            Field::Value(enabled) => enabled,
            Field::Null | Field::Unset => return Err(ObjectError::not_loadable("secure_enabled")),
        };
        Ok(LegacyDeviceInfo {
            is_snapshot: self.is_snapshot()?,
            backup_device: LegacyDevice::Row(row),
            secure_enabled,
        })
    }
}

impl VersionedObject for BackupDeviceInfo {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn extra(&self, name: &str) -> Result<Value, ObjectError> {
        if name == "is_snapshot" {
            return self.is_snapshot().map(Value::from);
        }
        Ok(match self.device()? {
            Device::Volume(Some(volume)) => Value::Object(Box::new(volume.clone().into())),
            Device::Snapshot(Some(snapshot)) => Value::Object(Box::new(snapshot.clone().into())),
            Device::Volume(None) | Device::Snapshot(None) => Value::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Dict {
        crate::Json::parse(text).unwrap().as_dict().unwrap().clone()
    }

    #[test]
    fn exactly_one_device() {
        let mut info = BackupDeviceInfo::new(None);
        assert!(matches!(
            info.is_snapshot(),
            Err(ObjectError::AmbiguousDevice)
        ));
        info.set_null(BackupDeviceInfo::SNAPSHOT).unwrap();
        assert_eq!(info.device().unwrap(), Device::Snapshot(None));
        info.set(BackupDeviceInfo::VOLUME, Volume::new(None))
            .unwrap();
        assert!(matches!(info.device(), Err(ObjectError::AmbiguousDevice)));
        info.unset(BackupDeviceInfo::SNAPSHOT);
        assert!(!info.is_snapshot().unwrap());
        info.set_null(BackupDeviceInfo::SECURE_ENABLED).unwrap();
        assert_eq!(
            info.get(BackupDeviceInfo::SECURE_ENABLED),
            Field::Value(false)
        );
    }

    #[test]
    fn the_old_forms() {
        let volume = row(r#"{"id": "v", "size": null, "status": "backing-up", "unknown": 1}"#);
        let legacy = LegacyDeviceInfo {
            is_snapshot: false,
            backup_device: LegacyDevice::Row(volume.clone()),
            secure_enabled: true,
        };
        let info = BackupDeviceInfo::from_legacy(legacy.clone(), None).unwrap();
        let Device::Volume(Some(device)) = info.device().unwrap() else {
            panic!("not a volume");
        };
        assert_eq!(device.get(Volume::SIZE), Field::Value(0));
        assert_eq!(device.get(Volume::METADATA), Field::Unset);
        assert!(device.what_changed().is_empty());
        assert_eq!(info.to_legacy(volume).unwrap(), legacy);

        let snapshot = LegacyDeviceInfo {
            is_snapshot: true,
            backup_device: LegacyDevice::Snapshot(Box::new(Snapshot::new(None))),
            secure_enabled: false,
        };
        assert!(
            BackupDeviceInfo::from_legacy(snapshot.clone(), None)
                .unwrap()
                .is_snapshot()
                .unwrap()
        );
        let mixed = LegacyDeviceInfo {
            is_snapshot: false,
            ..snapshot
        };
        assert!(BackupDeviceInfo::from_legacy(mixed, None).is_err());
        let nameless = LegacyDeviceInfo {
            backup_device: LegacyDevice::Row(row("{}")),
            ..legacy
        };
        assert!(
            BackupDeviceInfo::from_legacy(nameless, None).is_err(),
            "an id is required"
        );
    }
}
