//! Volumes and snapshots, as far as they travel inside device infos.

use crate::backup::NameTemplate;
use crate::class::{
    ClassInfo, FieldInfo, Kind, SNAPSHOT, SNAPSHOT_FIELDS, VOLUME, VOLUME_FIELDS, place,
};
use crate::data::{Context, Core, Foreign, Item, Metadata, Snapshot, Value, Volume};
use crate::datetime::DateTime;
use crate::error::ObjectError;
use crate::json::Dict;
use crate::key::Key;
use crate::object::VersionedObject;

const fn volume<T>(name: &str) -> Key<Volume, T> {
    Key::at(place(VOLUME_FIELDS, name))
}

const fn snapshot<T>(name: &str) -> Key<Snapshot, T> {
    Key::at(place(SNAPSHOT_FIELDS, name))
}

#[expect(missing_docs, reason = "each key is the field it is named for")]
impl Volume {
    pub const ID: Key<Self, String> = volume("id");
    pub const NAME_ID: Key<Self, String> = volume("_name_id");
    pub const USER_ID: Key<Self, String> = volume("user_id");
    pub const PROJECT_ID: Key<Self, String> = volume("project_id");
    pub const HOST: Key<Self, String> = volume("host");
    pub const CLUSTER_NAME: Key<Self, String> = volume("cluster_name");
    pub const SIZE: Key<Self, i64> = volume("size");
    pub const AVAILABILITY_ZONE: Key<Self, String> = volume("availability_zone");
    pub const STATUS: Key<Self, String> = volume("status");
    pub const PREVIOUS_STATUS: Key<Self, String> = volume("previous_status");
    pub const ATTACH_STATUS: Key<Self, String> = volume("attach_status");
    pub const DISPLAY_NAME: Key<Self, String> = volume("display_name");
    pub const DISPLAY_DESCRIPTION: Key<Self, String> = volume("display_description");
    pub const VOLUME_TYPE_ID: Key<Self, String> = volume("volume_type_id");
    pub const ENCRYPTION_KEY_ID: Key<Self, String> = volume("encryption_key_id");
    pub const LAUNCHED_AT: Key<Self, DateTime> = volume("launched_at");
    pub const BOOTABLE: Key<Self, bool> = volume("bootable");
    pub const MULTIATTACH: Key<Self, bool> = volume("multiattach");
    pub const METADATA: Key<Self, Metadata> = volume("metadata");
    pub const ADMIN_METADATA: Key<Self, Metadata> = volume("admin_metadata");
    pub const GLANCE_METADATA: Key<Self, Metadata> = volume("glance_metadata");
    pub const VOLUME_TYPE: Key<Self, Foreign> = volume("volume_type");
    pub const VOLUME_ATTACHMENT: Key<Self, Foreign> = volume("volume_attachment");
}

#[expect(missing_docs, reason = "each key is the field it is named for")]
impl Snapshot {
    pub const ID: Key<Self, String> = snapshot("id");
    pub const USER_ID: Key<Self, String> = snapshot("user_id");
    pub const PROJECT_ID: Key<Self, String> = snapshot("project_id");
    pub const VOLUME_ID: Key<Self, String> = snapshot("volume_id");
    pub const STATUS: Key<Self, String> = snapshot("status");
    pub const VOLUME_SIZE: Key<Self, i64> = snapshot("volume_size");
    pub const DISPLAY_NAME: Key<Self, String> = snapshot("display_name");
    pub const METADATA: Key<Self, Metadata> = snapshot("metadata");
    pub const VOLUME: Key<Self, Volume> = snapshot("volume");
}

impl Volume {
    /// Makes a volume with nothing set.
    pub fn new(context: Option<Context>) -> Self {
        Self {
            core: Core::new(&VOLUME, context),
        }
    }

    /// Takes a database row; what other tables hold stays unset.
    pub fn from_row(row: Dict, context: Option<Context>) -> Result<Self, ObjectError> {
        let mut volume = Self::new(context);
        take_row(&mut volume.core, &VOLUME, row)?;
        Ok(volume)
    }

    /// Returns the id that the storage knows it by: after a migration another than its own.
    pub fn name_id(&self) -> Result<String, ObjectError> {
        match self.core.read("_name_id")? {
            Item::Text(id) if !id.is_empty() => Ok(id.clone()),
            _ => Ok(text(self.core.read("id")?)),
        }
    }

    /// Returns the name the storage knows it by.
    pub fn name(&self) -> Result<String, ObjectError> {
        Ok(NameTemplate::prefix("volume-").render(&self.name_id()?))
    }

    fn pairs(&self, name: &str) -> Result<Value, ObjectError> {
        let Item::Dict(metadata) = self.core.read(name)? else {
            return Ok(Value::List(Vec::new()));
        };
        let pair = |(key, text): (&str, &str)| {
            Value::Dict(vec![
                ("key".into(), key.into()),
                ("value".into(), text.into()),
            ])
        };
        Ok(Value::List(metadata.iter().map(pair).collect()))
    }
}

impl VersionedObject for Volume {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn extra(&self, name: &str) -> Result<Value, ObjectError> {
        match name {
            "name" => self.name().map(Value::from),
            "name_id" => self.name_id().map(Value::from),
            "volume_metadata" => self.pairs("metadata"),
            "volume_admin_metadata" => self.pairs("admin_metadata"),
            _ => self.pairs("glance_metadata"),
        }
    }
}

impl Snapshot {
    /// Makes a snapshot with nothing set but empty metadata.
    pub fn new(context: Option<Context>) -> Self {
        let mut core = Core::new(&SNAPSHOT, context);
        core.put(Self::METADATA.index, Item::Dict(Metadata::new()));
        Self { core }
    }

    /// Takes a database row; what other tables hold stays as it is in a new one.
    pub fn from_row(row: Dict, context: Option<Context>) -> Result<Self, ObjectError> {
        let mut snapshot = Self::new(context);
        take_row(&mut snapshot.core, &SNAPSHOT, row)?;
        Ok(snapshot)
    }

    /// Returns the name the storage knows it by.
    pub fn name(&self) -> Result<String, ObjectError> {
        Ok(NameTemplate::prefix("snapshot-").render(&text(self.core.read("id")?)))
    }
}

impl VersionedObject for Snapshot {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn extra(&self, name: &str) -> Result<Value, ObjectError> {
        match name {
            "name" => self.name().map(Value::from),
            _ => match self.get(Self::VOLUME).value() {
                Some(volume) => volume.name().map(Value::from),
                None => Err(ObjectError::not_loadable("volume")),
            },
        }
    }
}

fn text(item: &Item) -> String {
    item.to_value().text()
}

/// Fills the fields from a row: a missing column is null, a null number is 0.
fn take_row(core: &mut Core, class: &ClassInfo, mut row: Dict) -> Result<(), ObjectError> {
    let own = |field: &&FieldInfo| !class.optional.contains(&field.name);
    for field in class.fields.iter().filter(own) {
        let value = match row.remove(field.name).map(Value::from) {
            None | Some(Value::Null) if field.kind == Kind::Int => Value::Int(0),
            None => Value::Null,
            Some(value) => value,
        };
        core.assign(field.name, value)?;
    }
    core.reset_changes();
    Ok(())
}
