//! Lists of backups.

use crate::class::{BACKUP_LIST, LIST_FIELDS, place};
use crate::data::{AnyObject, Backup, BackupList, Context, Core, Item, Value};
use crate::error::ObjectError;
use crate::object::VersionedObject;

const OBJECTS: usize = place(LIST_FIELDS, "objects");

impl BackupList {
    /// Makes an empty list.
    pub fn new(context: Option<Context>) -> Self {
        let mut core = Core::new(&BACKUP_LIST, context);
        core.put(OBJECTS, Item::Objects(Vec::new()));
        core.reset_changes();
        Self { core }
    }

    /// Makes a list of these; that counts as a change.
    pub fn of(backups: impl IntoIterator<Item = Backup>, context: Option<Context>) -> Self {
        let mut list = Self::new(context);
        let objects = backups.into_iter().map(AnyObject::Backup).collect();
        list.core.put(OBJECTS, Item::Objects(objects));
        list
    }

    /// Runs over the backups.
    pub fn iter(&self) -> impl Iterator<Item = &Backup> {
        let objects = match self.core.slot(OBJECTS) {
            Some(Item::Objects(objects)) => objects.as_slice(),
            _ => &[],
        };
        objects.iter().filter_map(|object| match object {
            AnyObject::Backup(backup) => Some(backup),
            _ => None,
        })
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl VersionedObject for BackupList {
    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn extra(&self, name: &str) -> Result<Value, ObjectError> {
        Err(ObjectError::not_loadable(name))
    }
}
