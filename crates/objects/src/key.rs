//! Typed access to fields.

use std::marker::PhantomData;

use crate::data::{AnyObject, Backup, Foreign, Item, Metadata, Snapshot, Volume};
use crate::datetime::DateTime;
use crate::status::BackupStatus;

/// What a field holds, if anything: null is a value too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field<T> {
    /// Nothing was ever assigned or received.
    Unset,
    /// Null.
    Null,
    /// A value.
    Value(T),
}

impl<T> Field<T> {
    /// Returns the value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Unset | Self::Null => None,
        }
    }

    /// Tells whether the field is set, to a value or to null.
    pub fn is_set(&self) -> bool {
        !matches!(self, Self::Unset)
    }
}

/// Names a field of the objects `C` that holds a `T`.
#[derive(Debug)]
pub struct Key<C, T> {
    pub(crate) index: usize,
    of: PhantomData<fn() -> (C, T)>,
}

impl<C, T> Clone for Key<C, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C, T> Copy for Key<C, T> {}

impl<C, T> Key<C, T> {
    pub(crate) const fn at(index: usize) -> Self {
        Self {
            index,
            of: PhantomData,
        }
    }
}

/// A type that fields hold. Only the types in this crate can be.
pub trait FieldValue: Sized + sealed::Sealed {
    /// What reading the field gives.
    type Ref<'a>;
    #[doc(hidden)]
    fn read(slot: sealed::Slot<'_>) -> Option<Self::Ref<'_>>;
    #[doc(hidden)]
    fn store(self) -> sealed::Stored;
}

pub(crate) mod sealed {
    use crate::data::Item;

    /// Keeps other crates from implementing the trait.
    pub trait Sealed {}

    /// What is in the field.
    pub struct Slot<'a>(pub(crate) &'a Item);

    /// What goes into the field.
    pub struct Stored(pub(crate) Item);
}

use sealed::{Sealed, Slot, Stored};

impl Sealed for String {}
impl FieldValue for String {
    type Ref<'a> = &'a str;

    fn read(slot: Slot<'_>) -> Option<&str> {
        match slot.0 {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Text(self))
    }
}

impl Sealed for i64 {}
impl FieldValue for i64 {
    type Ref<'a> = i64;

    fn read(slot: Slot<'_>) -> Option<i64> {
        match slot.0 {
            Item::Int(value) => Some(*value),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Int(self))
    }
}

impl Sealed for bool {}
impl FieldValue for bool {
    type Ref<'a> = bool;

    fn read(slot: Slot<'_>) -> Option<bool> {
        match slot.0 {
            Item::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Bool(self))
    }
}

impl Sealed for DateTime {}
impl FieldValue for DateTime {
    type Ref<'a> = DateTime;

    fn read(slot: Slot<'_>) -> Option<DateTime> {
        match slot.0 {
            Item::Time(time) => Some(*time),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Time(self.in_field()))
    }
}

impl Sealed for Metadata {}
impl FieldValue for Metadata {
    type Ref<'a> = &'a Metadata;

    fn read(slot: Slot<'_>) -> Option<&Metadata> {
        match slot.0 {
            Item::Dict(metadata) => Some(metadata),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Dict(self))
    }
}

impl Sealed for BackupStatus {}
impl FieldValue for BackupStatus {
    type Ref<'a> = BackupStatus;

    fn read(slot: Slot<'_>) -> Option<BackupStatus> {
        match slot.0 {
            Item::Text(text) => BackupStatus::named(text),
            _ => None,
        }
    }

    fn store(self) -> Stored {
        Stored(Item::Text(self.name().to_owned()))
    }
}

/// Objects of one class: each is its own variant of [`AnyObject`].
macro_rules! object_values {
    ($($class:ident),+) => {$(
        impl Sealed for $class {}
        impl FieldValue for $class {
            type Ref<'a> = &'a $class;

            fn read(slot: Slot<'_>) -> Option<&$class> {
                match slot.0 {
                    Item::Object(object) => match object.as_ref() {
                        AnyObject::$class(object) => Some(object),
                        _ => None,
                    },
                    _ => None,
                }
            }

            fn store(self) -> Stored {
                Stored(Item::Object(Box::new(self.into())))
            }
        }
    )+};
}

object_values!(Backup, Volume, Snapshot, Foreign);
