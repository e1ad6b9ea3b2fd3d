//! The backup object.

use std::ops::{Deref, DerefMut};

use crate::class::{BACKUP, BACKUP_FIELDS, BACKUP_IMPORT, place};
use crate::data::{Backup, BackupImport, Context, Core, Item, Metadata, Value};
use crate::datetime::DateTime;
use crate::error::ObjectError;
use crate::key::Key;
use crate::object::VersionedObject;
use crate::status::BackupStatus;

/// How a name is made from an id: one `%s`, any number of `%%`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTemplate {
    before: String,
    after: String,
}

impl NameTemplate {
    /// Reads a template; `None` if it has not exactly one place for the id.
    pub fn new(template: &str) -> Option<Self> {
        let mut parts = vec![String::new()];
        let mut chars = template.chars();
        while let Some(c) = chars.next() {
            match (c, parts.last_mut()) {
                ('%', Some(last)) => match chars.next()? {
                    '%' => last.push('%'),
                    's' => parts.push(String::new()),
                    _ => return None,
                },
                (c, Some(last)) => last.push(c),
                (_, None) => {}
            }
        }
        let [before, after] = <[String; 2]>::try_from(parts).ok()?;
        Some(Self { before, after })
    }

    pub(crate) fn prefix(before: &str) -> Self {
        Self {
            before: before.to_owned(),
            after: String::new(),
        }
    }

    /// Makes the name.
    pub fn render(&self, id: &str) -> String {
        format!("{}{id}{}", self.before, self.after)
    }
}

impl Default for NameTemplate {
    /// `backup-%s`
    fn default() -> Self {
        Self::prefix("backup-")
    }
}

const fn key<T>(name: &str) -> Key<Backup, T> {
    Key::at(place(BACKUP_FIELDS, name))
}

#[expect(missing_docs, reason = "each key is the field it is named for")]
impl Backup {
    pub const ID: Key<Self, String> = key("id");
    pub const USER_ID: Key<Self, String> = key("user_id");
    pub const PROJECT_ID: Key<Self, String> = key("project_id");
    pub const VOLUME_ID: Key<Self, String> = key("volume_id");
    pub const HOST: Key<Self, String> = key("host");
    pub const AVAILABILITY_ZONE: Key<Self, String> = key("availability_zone");
    pub const CONTAINER: Key<Self, String> = key("container");
    pub const PARENT_ID: Key<Self, String> = key("parent_id");
    pub const PARENT: Key<Self, Self> = key("parent");
    pub const STATUS: Key<Self, BackupStatus> = key("status");
    pub const FAIL_REASON: Key<Self, String> = key("fail_reason");
    pub const SIZE: Key<Self, i64> = key("size");
    pub const DISPLAY_NAME: Key<Self, String> = key("display_name");
    pub const DISPLAY_DESCRIPTION: Key<Self, String> = key("display_description");
    pub const SERVICE_METADATA: Key<Self, String> = key("service_metadata");
    pub const SERVICE: Key<Self, String> = key("service");
    pub const OBJECT_COUNT: Key<Self, i64> = key("object_count");
    pub const TEMP_VOLUME_ID: Key<Self, String> = key("temp_volume_id");
    pub const TEMP_SNAPSHOT_ID: Key<Self, String> = key("temp_snapshot_id");
    pub const NUM_DEPENDENT_BACKUPS: Key<Self, i64> = key("num_dependent_backups");
    pub const SNAPSHOT_ID: Key<Self, String> = key("snapshot_id");
    pub const DATA_TIMESTAMP: Key<Self, DateTime> = key("data_timestamp");
    pub const RESTORE_VOLUME_ID: Key<Self, String> = key("restore_volume_id");
    pub const METADATA: Key<Self, Metadata> = key("metadata");
    pub const ENCRYPTION_KEY_ID: Key<Self, String> = key("encryption_key_id");
    pub const CREATED_AT: Key<Self, DateTime> = key("created_at");
    pub const UPDATED_AT: Key<Self, DateTime> = key("updated_at");
    pub const DELETED_AT: Key<Self, DateTime> = key("deleted_at");
    pub const DELETED: Key<Self, bool> = key("deleted");
}

impl Backup {
    /// Makes an object with nothing set, acting for a caller.
    pub fn new(context: Context) -> Self {
        Self {
            core: Core::new(&BACKUP, Some(context)),
        }
    }

    /// Makes an object with nothing set and no caller: it can hold and be sent, nothing else.
    pub fn orphan() -> Self {
        Self {
            core: Core::new(&BACKUP, None),
        }
    }

    /// Returns the name made from the id; unset, the id is an error.
    pub fn name(&self, template: &NameTemplate) -> Result<String, ObjectError> {
        match self.core.read("id")? {
            Item::Text(id) => Ok(template.render(id)),
            _ => Ok(template.render("None")),
        }
    }

    /// Tells whether the backup builds on another: its parent id is neither null nor empty.
    pub fn is_incremental(&self) -> Result<bool, ObjectError> {
        Ok(matches!(self.core.read("parent_id")?, Item::Text(id) if !id.is_empty()))
    }

    /// Tells whether others build on it: their number is neither null nor 0.
    pub fn has_dependent_backups(&self) -> Result<bool, ObjectError> {
        Ok(matches!(self.core.read("num_dependent_backups")?, Item::Int(count) if *count != 0))
    }
}

impl VersionedObject for Backup {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    /// The name here is of the default template: a dict knows no configuration.
    fn extra(&self, name: &str) -> Result<Value, ObjectError> {
        match name {
            "name" => self.name(&NameTemplate::default()).map(Value::from),
            "is_incremental" => self.is_incremental().map(Value::from),
            _ => self.has_dependent_backups().map(Value::from),
        }
    }
}

impl BackupImport {
    /// Makes an object with nothing set, acting for a caller.
    pub fn new(context: Context) -> Self {
        Self(Backup {
            core: Core::new(&BACKUP_IMPORT, Some(context)),
        })
    }

    /// Makes an object with nothing set and no caller.
    pub fn orphan() -> Self {
        Self(Backup {
            core: Core::new(&BACKUP_IMPORT, None),
        })
    }
}

impl Deref for BackupImport {
    type Target = Backup;

    fn deref(&self) -> &Backup {
        &self.0
    }
}

impl DerefMut for BackupImport {
    fn deref_mut(&mut self) -> &mut Backup {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Field;

    #[test]
    fn templates() {
        for (template, want) in [
            ("backup-%s", Some("backup-x")),
            ("%s", Some("x")),
            ("100%%-%s-%%s", Some("100%-x-%s")),
            ("backup", None),
            ("%s%s", None),
            ("%d", None),
            ("%s%", None),
        ] {
            let name = NameTemplate::new(template).map(|template| template.render("x"));
            assert_eq!(name.as_deref(), want, "{template}");
        }
    }

    #[test]
    fn typed_fields() {
        let mut backup = Backup::orphan();
        assert_eq!(backup.get(Backup::SIZE), Field::Unset);
        backup.set(Backup::SIZE, 3).unwrap();
        backup.set_null(Backup::HOST).unwrap();
        backup.set(Backup::STATUS, BackupStatus::Creating).unwrap();
        assert_eq!(backup.get(Backup::SIZE), Field::Value(3));
        assert_eq!(backup.get(Backup::HOST), Field::Null);
        assert_eq!(
            backup.get(Backup::STATUS).value(),
            Some(BackupStatus::Creating)
        );
        assert!(backup.set_null(Backup::USER_ID).is_err());
        assert_eq!(backup.what_changed(), ["host", "status", "size"]);
        backup.reset_changes();
        backup.unset(Backup::SIZE);
        assert_eq!(
            (backup.get(Backup::SIZE), backup.what_changed()),
            (Field::Unset, vec![])
        );
    }

    #[test]
    fn edits_in_place_are_changes() {
        let mut backup = Backup::orphan();
        let metadata: Metadata = [("a", "1"), ("b", "2")].into_iter().collect();
        backup.set(Backup::METADATA, metadata).unwrap();
        backup.reset_changes();
        assert!(backup.what_changed().is_empty());
        backup.edit(Backup::METADATA).unwrap().insert("a", "3");
        assert_eq!(backup.what_changed(), ["metadata"]);
        backup.edit(Backup::METADATA).unwrap().insert("a", "1");
        assert!(backup.what_changed().is_empty(), "edited back");
        let mut child = Backup::orphan();
        child.set(Backup::PARENT, backup).unwrap();
        child.reset_changes();
        assert!(child.what_changed().is_empty());
    }

    #[test]
    fn as_a_dict() {
        let mut backup = Backup::new(Context::admin("u", "p"));
        backup
            .update([("size".to_owned(), Value::from("8"))])
            .unwrap();
        assert_eq!(backup.value("size").unwrap(), Value::Int(8));
        for (name, value_or_null, value_or) in [
            ("size", Value::Int(8), Value::Int(8)),
            ("host", Value::Null, Value::Int(7)),
            ("zzz", Value::Null, Value::Null),
            ("name", Value::Null, Value::Null),
        ] {
            assert_eq!(backup.value_or_null(name).unwrap(), value_or_null, "{name}");
            assert_eq!(
                backup.value_or(name, Value::Int(7)).unwrap(),
                value_or,
                "{name}"
            );
        }
        assert!(backup.value("host").is_err() && backup.value("zzz").is_err());
        assert!(backup.assign("zzz", 1).is_err() && backup.assign("name", "x").is_err());
        assert_eq!(
            backup.names(),
            ["size", "name", "is_incremental", "has_dependent_backups"]
        );
        assert!(backup.contains("name") && !backup.contains("host") && !backup.contains("zzz"));
        assert!(backup.items().is_err(), "no id to make a name of");
        for (name, value) in [
            ("id", Value::from("i")),
            ("parent_id", Value::Null),
            ("num_dependent_backups", Value::from(-1)),
        ] {
            backup.assign(name, value).unwrap();
        }
        let items = backup.items().unwrap();
        assert!(
            items.contains(&("name", "backup-i".into()))
                && items.contains(&("has_dependent_backups", true.into()))
        );
    }

    #[test]
    fn equality_is_of_primitives() {
        let one = |size: i64| {
            let mut backup = Backup::orphan();
            backup.set(Backup::SIZE, size).unwrap();
            backup.set(Backup::HOST, "h".to_owned()).unwrap();
            backup
        };
        assert_eq!(one(1), one(1));
        assert_ne!(one(1), one(2));
        let mut saved = one(1);
        saved.reset_changes();
        assert_ne!(one(1), saved, "changes are part of the primitive");
    }
}
