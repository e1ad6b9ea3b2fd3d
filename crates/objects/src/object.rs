//! What all objects share: fields that may be unset, and knowing which of them changed.

use crate::class::ClassInfo;
use crate::compatible::Manifest;
use crate::data::{
    AnyObject, Backup, BackupDeviceInfo, BackupImport, BackupList, Context, Core, Foreign, Item,
    Metadata, Snapshot, Value, Volume,
};
use crate::error::{CoerceError, ObjectError, PrimitiveError};
use crate::field::coerce;
use crate::json::Json;
use crate::key::sealed::{Slot, Stored};
use crate::key::{Field, FieldValue, Key};
use crate::primitive;

impl Core {
    pub(crate) fn new(class: &'static ClassInfo, context: Option<Context>) -> Self {
        let originals = class
            .tracked
            .iter()
            .filter_map(|name| class.position(name))
            .map(|place| (place, Item::Dict(Metadata::new())))
            .collect();
        Self {
            class,
            version: class.version.to_owned(),
            context,
            slots: vec![None; class.fields.len()],
            changed: 0,
            originals,
        }
    }

    pub(crate) fn slot(&self, place: usize) -> Option<&Item> {
        self.slots.get(place).and_then(Option::as_ref)
    }

    pub(crate) fn slot_mut(&mut self, place: usize) -> Option<&mut Item> {
        self.slots.get_mut(place).and_then(Option::as_mut)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Item> {
        self.class.position(name).and_then(|place| self.slot(place))
    }

    pub(crate) fn put(&mut self, place: usize, item: Item) {
        self.slots[place] = Some(item);
        self.changed |= 1 << place;
    }

    pub(crate) fn clear(&mut self, place: usize) {
        self.slots[place] = None;
    }

    pub(crate) fn place(&self, name: &str) -> Result<usize, ObjectError> {
        self.class
            .position(name)
            .ok_or_else(|| ObjectError::NoSuchField {
                object: self.class.name,
                name: name.to_owned(),
            })
    }

    pub(crate) fn coerced(&self, place: usize, value: Value) -> Result<Item, CoerceError> {
        coerce(self.class, &self.class.fields[place], value)
    }

    pub(crate) fn assign(&mut self, name: &str, value: Value) -> Result<(), ObjectError> {
        let place = self.place(name)?;
        let item = self.coerced(place, value)?;
        self.put(place, item);
        Ok(())
    }

    /// Says which fields changed and nothing else: what a primitive was sent with.
    pub(crate) fn set_changed(&mut self, names: &[&str]) {
        self.changed = names
            .iter()
            .filter_map(|name| self.class.position(name))
            .fold(0, |bits, place| bits | 1 << place);
    }

    fn has_changed(&self, place: usize) -> bool {
        if self.changed & (1 << place) != 0 {
            return true;
        }
        let Some(item) = self.slot(place) else {
            return false;
        };
        let edited = self
            .originals
            .iter()
            .any(|(tracked, original)| *tracked == place && original != item);
        edited
            || match item {
                Item::Object(object) => !object.what_changed().is_empty(),
                Item::Objects(objects) => {
                    self.class.is_list
                        && objects
                            .iter()
                            .any(|object| !object.what_changed().is_empty())
                }
                _ => false,
            }
    }

    pub(crate) fn what_changed(&self) -> Vec<&'static str> {
        let fields = self.class.fields.iter().enumerate();
        fields
            .filter(|(place, _)| self.has_changed(*place))
            .map(|(_, field)| field.name)
            .collect()
    }

    pub(crate) fn reset_changes(&mut self) {
        self.changed = 0;
        self.reset_tracking();
    }

    /// Begins to track dicts, as a constructor does; a null one cannot be copied.
    pub(crate) fn start_tracking(&mut self) -> Result<(), ObjectError> {
        for (place, _) in &self.originals {
            if self.slot(*place) == Some(&Item::Null) {
                return Err(ObjectError::NullAtConstruction);
            }
        }
        self.reset_tracking();
        Ok(())
    }

    pub(crate) fn reset_tracking(&mut self) {
        let slots = &self.slots;
        for (place, original) in &mut self.originals {
            *original = slots[*place]
                .clone()
                .unwrap_or_else(|| Item::Dict(Metadata::new()));
        }
    }

    /// Forgets the changes of some fields only.
    #[cfg(feature = "database")]
    pub(crate) fn reset_changes_of(&mut self, names: &[&str]) {
        for name in names {
            let Some(place) = self.class.position(name) else {
                continue;
            };
            self.changed &= !(1 << place);
            let now = self.slots[place].clone();
            for (tracked, original) in &mut self.originals {
                if *tracked == place {
                    *original = now.clone().unwrap_or_else(|| Item::Dict(Metadata::new()));
                }
            }
        }
    }

    /// Reads a field as code that expects a value does: an unset one is an error.
    pub(crate) fn read(&self, name: &str) -> Result<&Item, ObjectError> {
        self.named(name).ok_or_else(|| self.unset(name))
    }

    fn unset(&self, name: &str) -> ObjectError {
        if !self.class.optional.contains(&name) {
            return ObjectError::not_loadable(name);
        }
        if self.context.is_none() {
            return self.orphaned("obj_load_attr");
        }
        ObjectError::NotLoaded {
            object: self.class.name,
            field: name.to_owned(),
        }
    }

    pub(crate) fn orphaned(&self, method: &'static str) -> ObjectError {
        ObjectError::Orphaned {
            method,
            object: self.class.name,
        }
    }
}

/// An object with a table of fields.
pub trait VersionedObject: Sized {
    /// Returns the inside.
    #[doc(hidden)]
    fn core(&self) -> &Core;

    /// Returns the inside.
    #[doc(hidden)]
    fn core_mut(&mut self) -> &mut Core;

    /// Computes one of the class's extra values.
    #[doc(hidden)]
    fn extra(&self, name: &str) -> Result<Value, ObjectError>;

    /// Returns the object's class.
    fn class(&self) -> &'static ClassInfo {
        self.core().class
    }

    /// Returns the version: the sender's, for an object that was received.
    fn version(&self) -> &str {
        &self.core().version
    }

    /// Returns the caller it acts for; an orphan has none.
    fn context(&self) -> Option<&Context> {
        self.core().context.as_ref()
    }

    /// Gives it another caller to act for.
    fn set_context(&mut self, context: Option<Context>) {
        self.core_mut().context = context;
    }

    /// Returns what a field holds.
    fn get<T: FieldValue>(&self, key: Key<Self, T>) -> Field<T::Ref<'_>> {
        match self.core().slot(key.index) {
            None => Field::Unset,
            Some(item) => T::read(Slot(item)).map_or(Field::Null, Field::Value),
        }
    }

    /// Sets a field. A foreign object of another class than the field's is refused.
    fn set<T: FieldValue>(&mut self, key: Key<Self, T>, value: T) -> Result<(), ObjectError> {
        let Stored(item) = value.store();
        let item = match item {
            Item::Object(object) => self
                .core()
                .coerced(key.index, Value::Object(object))
                .map_err(ObjectError::from)?,
            other => other,
        };
        self.core_mut().put(key.index, item);
        Ok(())
    }

    /// Sets a field to null, or to its default, or refuses.
    fn set_null<T: FieldValue>(&mut self, key: Key<Self, T>) -> Result<(), ObjectError> {
        let item = self.core().coerced(key.index, Value::Null)?;
        self.core_mut().put(key.index, item);
        Ok(())
    }

    /// Makes a field as if it had never been set.
    fn unset<T: FieldValue>(&mut self, key: Key<Self, T>) {
        self.core_mut().clear(key.index);
    }

    /// Opens a dict for edits in place; they count as a change.
    fn edit(&mut self, key: Key<Self, Metadata>) -> Option<&mut Metadata> {
        match self.core_mut().slot_mut(key.index) {
            Some(Item::Dict(metadata)) => Some(metadata),
            _ => None,
        }
    }

    /// Sets a field by name, after making the value fit as Cinder does.
    fn assign(&mut self, name: &str, value: impl Into<Value>) -> Result<(), ObjectError> {
        self.core_mut().assign(name, value.into())
    }

    /// Sets several fields by name, up to the first that does not fit.
    fn update(
        &mut self,
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), ObjectError> {
        for (name, value) in values {
            self.assign(&name, value)?;
        }
        Ok(())
    }

    /// Sets what a constructor is given. Unlike [`Self::assign`], this refuses null metadata: Cinder's
    /// constructor copies it.
    fn initialize(
        &mut self,
        values: impl IntoIterator<Item = (String, Value)>,
    ) -> Result<(), ObjectError> {
        self.update(values)?;
        self.core_mut().start_tracking()
    }

    /// Tells whether a field is set; extra values never are. Refuses unknown names.
    fn is_set(&self, name: &str) -> Result<bool, ObjectError> {
        if self.class().extra.contains(&name) {
            return Ok(false);
        }
        let place = self.core().place(name)?;
        Ok(self.core().slot(place).is_some())
    }

    /// Sets the fields that have a default and are unset.
    fn set_defaults(&mut self) {
        for (place, field) in self.class().fields.iter().enumerate() {
            if let Some(default) = field.default
                && self.core().slot(place).is_none()
            {
                self.core_mut().put(place, Item::Bool(default));
            }
        }
    }

    /// Returns the fields that changed since they were loaded or saved, in order of the table.
    fn what_changed(&self) -> Vec<&'static str> {
        self.core().what_changed()
    }

    /// Takes everything for saved.
    fn reset_changes(&mut self) {
        self.core_mut().reset_changes();
    }

    /// Reads a field or extra value by name, as `object[name]` does: unset is an error.
    fn value(&self, name: &str) -> Result<Value, ObjectError> {
        if self.class().extra.contains(&name) {
            return self.extra(name);
        }
        self.core().place(name)?;
        Ok(self.core().read(name)?.to_value())
    }

    /// Reads a field or extra value by name; what is unknown or unset is null.
    fn value_or_null(&self, name: &str) -> Result<Value, ObjectError> {
        match self.value(name) {
            Err(
                ObjectError::Action { .. }
                | ObjectError::NoSuchField { .. }
                | ObjectError::NotLoaded { .. },
            ) => Ok(Value::Null),
            other => other,
        }
    }

    /// Reads a field by name; if it is unset, `default` stands in. What is unknown is null all the same.
    fn value_or(&self, name: &str, default: Value) -> Result<Value, ObjectError> {
        match self.is_set(name) {
            Ok(false) if !self.class().extra.contains(&name) => Ok(default),
            _ => self.value_or_null(name),
        }
    }

    /// Tells whether the name is an extra value or a field that is set.
    fn contains(&self, name: &str) -> bool {
        self.class().extra.contains(&name) || matches!(self.is_set(name), Ok(true))
    }

    /// Returns the names of set fields, then of the extra values.
    fn names(&self) -> Vec<&'static str> {
        let fields = self.class().fields.iter().map(|field| field.name);
        fields
            .filter(|name| self.contains(name))
            .chain(self.class().extra.iter().copied())
            .collect()
    }

    /// Returns names and values, as a dict has them; an extra value that cannot be computed is an error.
    fn items(&self) -> Result<Vec<(&'static str, Value)>, ObjectError> {
        let names = self.names().into_iter();
        names.map(|name| Ok((name, self.value(name)?))).collect()
    }

    /// Writes the object in its own version.
    ///
    /// Cinder refuses this for an orphan backup without metadata, by accident: here it works.
    fn to_primitive(&self) -> Json {
        primitive::write(self.core())
    }

    /// Writes the object for a receiver that knows an older version, or other versions of what it holds.
    fn to_primitive_for(
        &self,
        target: Option<&str>,
        manifest: Option<&Manifest>,
    ) -> Result<Json, ObjectError> {
        crate::compatible::write_for(self.core(), target, manifest)
    }
}

impl Foreign {
    /// Returns its class.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns its fields as they came.
    pub fn data(&self) -> &Json {
        &self.data
    }
}

impl AnyObject {
    pub(crate) fn core(&self) -> Option<&Core> {
        match self {
            Self::Backup(object) => Some(object.core()),
            Self::BackupImport(object) => Some(object.core()),
            Self::BackupList(object) => Some(object.core()),
            Self::BackupDeviceInfo(object) => Some(object.core()),
            Self::Volume(object) => Some(object.core()),
            Self::Snapshot(object) => Some(object.core()),
            Self::Foreign(_) => None,
        }
    }

    /// Returns the name of its class.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Foreign(object) => object.name,
            other => other.core().map_or("", |core| core.class.name),
        }
    }

    /// Returns its version.
    pub fn version(&self) -> &str {
        match self {
            Self::Foreign(object) => &object.version,
            other => other.core().map_or("", |core| &core.version),
        }
    }

    /// Returns where Cinder keeps its class.
    pub(crate) fn module(&self) -> String {
        if let Some(core) = self.core() {
            return core.class.module.to_owned();
        }
        let mut module = "cinder.objects.".to_owned();
        let name = self.name();
        let mut after_capital = true;
        for c in name.strip_suffix("List").unwrap_or(name).chars() {
            if c.is_ascii_uppercase() && !after_capital {
                module.push('_');
            }
            after_capital = c.is_ascii_uppercase();
            module.push(c.to_ascii_lowercase());
        }
        module
    }

    /// Returns the fields that changed.
    pub fn what_changed(&self) -> Vec<String> {
        match self {
            Self::Foreign(object) => object.changes.clone(),
            other => other.core().map_or_else(Vec::new, |core| {
                core.what_changed().into_iter().map(str::to_owned).collect()
            }),
        }
    }

    /// Returns the names of the fields that are set.
    pub fn set_fields(&self) -> Vec<String> {
        let Some(core) = self.core() else {
            let data = self.foreign_data();
            return data.map(|(key, _)| key.to_owned()).collect();
        };
        let fields = core.class.fields.iter().enumerate();
        fields
            .filter(|(place, _)| core.slot(*place).is_some())
            .map(|(_, field)| field.name.to_owned())
            .collect()
    }

    fn foreign_data(&self) -> impl Iterator<Item = (&str, &Json)> {
        let data = match self {
            Self::Foreign(object) => object.data.as_dict(),
            _ => None,
        };
        data.into_iter().flat_map(crate::json::Dict::iter)
    }

    /// Reads a primitive of any class.
    pub fn from_primitive(json: &Json, context: Option<&Context>) -> Result<Self, ObjectError> {
        primitive::read(json, context)
    }

    /// Writes the object in its own version.
    pub fn to_primitive(&self) -> Json {
        match self {
            Self::Foreign(object) => primitive::write_foreign(object),
            other => other.core().map_or(Json::Null, primitive::write),
        }
    }

    /// Writes the object for an older receiver.
    pub fn to_primitive_for(
        &self,
        target: Option<&str>,
        manifest: Option<&Manifest>,
    ) -> Result<Json, ObjectError> {
        match self.core() {
            Some(core) => crate::compatible::write_for(core, target, manifest),
            None => crate::compatible::foreign_for(self, target, manifest),
        }
    }
}

/// Objects are equal when their primitives are; the order of changes means nothing.
impl PartialEq for AnyObject {
    fn eq(&self, other: &Self) -> bool {
        primitive::same(&self.to_primitive(), &other.to_primitive())
    }
}

/// Gives each class its place in [`AnyObject`], equality, and reading of its own primitives.
macro_rules! objects {
    ($($class:ident),+) => {$(
        impl From<$class> for AnyObject {
            fn from(object: $class) -> Self {
                Self::$class(object)
            }
        }

        impl PartialEq for $class {
            fn eq(&self, other: &Self) -> bool {
                primitive::same(&self.to_primitive(), &other.to_primitive())
            }
        }

        impl $class {
            /// Reads a primitive of this class; of another one it is refused.
            pub fn from_primitive(
                json: &Json,
                context: Option<&Context>,
            ) -> Result<Self, ObjectError> {
                match AnyObject::from_primitive(json, context)? {
                    AnyObject::$class(object) => Ok(object),
                    other => Err(PrimitiveError::Unsupported {
                        name: other.name().to_owned(),
                    }
                    .into()),
                }
            }
        }
    )+};
}

objects!(
    Backup,
    BackupImport,
    BackupList,
    BackupDeviceInfo,
    Volume,
    Snapshot
);

impl From<Foreign> for AnyObject {
    fn from(object: Foreign) -> Self {
        Self::Foreign(object)
    }
}
