//! Values on their way to and from a database, and what each of our types becomes there.

use std::collections::BTreeMap;

use emberkeep_model::{
    AttachmentId, AttachmentStatus, BackupDamage, BackupId, ByteCount, CheckpointId,
    CheckpointResource, CheckpointStatus, CinderFacts, FileSystemId, Gib, MemberId, MemberStatus,
    MessageAction, MessageDetail, MessageId, ObjectType, OperationDefinition, OperationType,
    PolicyId, ProjectId, ProtectStatus, ProtectType, Replica, ResourceId, Role, ServerFacts,
    ServerId, SkippedResource, SnapshotId, SnapshotStatus, Tag, TaskId, Timestamp, UserId, VaultId,
    VaultStatus, VolumeChoice, VolumeId, VolumeStatus, VolumeTypeId, Work,
};

/// A value to be bound; a missing one still has a type, which some engines insist on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Bind {
    Int(Option<i64>),
    Text(Option<String>),
    Bool(Option<bool>),
}

/// A value that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    /// Engines without a type of their own for it give an [`Cell::Int`].
    #[expect(dead_code, reason = "SQLite has no such type; PostgreSQL does")]
    Bool(bool),
    /// Something none of our columns holds: the engine's name for it.
    Odd(String),
}

/// A type that fits one column.
pub(crate) trait Field: Sized {
    /// What stands for none of it.
    const NONE: Bind;

    fn to_bind(&self) -> Bind;

    /// Reads it back, or says what is wrong.
    fn from_cell(cell: Cell) -> Result<Self, String>;
}

impl<T: Field> Field for Option<T> {
    const NONE: Bind = T::NONE;

    fn to_bind(&self) -> Bind {
        self.as_ref().map_or(T::NONE, T::to_bind)
    }

    fn from_cell(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Null => Ok(None),
            cell => T::from_cell(cell).map(Some),
        }
    }
}

impl Field for String {
    const NONE: Bind = Bind::Text(None);

    fn to_bind(&self) -> Bind {
        Bind::Text(Some(self.clone()))
    }

    fn from_cell(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Text(text) => Ok(text),
            cell => Err(format!("{cell:?} where text should be")),
        }
    }
}

impl Field for bool {
    const NONE: Bind = Bind::Bool(None);

    fn to_bind(&self) -> Bind {
        Bind::Bool(Some(*self))
    }

    fn from_cell(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Bool(truth) => Ok(truth),
            Cell::Int(0) => Ok(false),
            Cell::Int(1) => Ok(true),
            cell => Err(format!("{cell:?} where a yes or no should be")),
        }
    }
}

impl Field for i64 {
    const NONE: Bind = Bind::Int(None);

    fn to_bind(&self) -> Bind {
        Bind::Int(Some(*self))
    }

    fn from_cell(cell: Cell) -> Result<Self, String> {
        match cell {
            Cell::Int(number) => Ok(number),
            cell => Err(format!("{cell:?} where a number should be")),
        }
    }
}

/// Counts stop at the largest number that both engines hold: 8 EiB, were they bytes.
fn count(number: impl TryInto<i64>) -> Bind {
    Bind::Int(Some(number.try_into().unwrap_or(i64::MAX)))
}

fn uncount<T: TryFrom<i64>>(cell: Cell) -> Result<T, String> {
    let number = i64::from_cell(cell)?;
    T::try_from(number).map_err(|_| format!("{number} is out of range"))
}

macro_rules! count_fields {
    ($($type:ty: $to:expr, $from:expr;)*) => {$(
        impl Field for $type {
            const NONE: Bind = Bind::Int(None);

            fn to_bind(&self) -> Bind {
                let inner: fn(&Self) -> _ = $to;
                count(inner(self))
            }

            fn from_cell(cell: Cell) -> Result<Self, String> {
                uncount(cell).map($from)
            }
        }
    )*};
}

count_fields! {
    u64: |n| *n, |n: u64| n;
    u32: |n| *n, |n: u32| n;
    u8: |n| *n, |n: u8| n;
    Gib: |n| n.0, Gib;
    ByteCount: |n| n.0, ByteCount;
    Timestamp: |n| n.0, Timestamp;
}

macro_rules! text_fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            const NONE: Bind = Bind::Text(None);

            fn to_bind(&self) -> Bind {
                Bind::Text(Some(self.to_string()))
            }

            fn from_cell(cell: Cell) -> Result<Self, String> {
                String::from_cell(cell)?.parse().map_err(|e: <$type as std::str::FromStr>::Err| e.to_string())
            }
        }
    )*};
}

text_fields!(
    VolumeId,
    ServerId,
    FileSystemId,
    ResourceId,
    SnapshotId,
    VolumeTypeId,
    BackupId,
    VaultId,
    CheckpointId,
    PolicyId,
    MemberId,
    TaskId,
    AttachmentId,
    MessageId,
    ProjectId,
    UserId
);
text_fields!(
    OperationType,
    MemberStatus,
    VolumeStatus,
    SnapshotStatus,
    ObjectType,
    ProtectType,
    VaultStatus,
    ProtectStatus,
    CheckpointStatus,
    AttachmentStatus,
    MessageAction,
    MessageDetail,
    Role
);

macro_rules! json_fields {
    ($($type:ty),*) => {$(
        impl Field for $type {
            const NONE: Bind = Bind::Text(None);

            fn to_bind(&self) -> Bind {
                let text = serde_json::to_string(self).expect("plain maps and lists can always be written");
                Bind::Text(Some(text))
            }

            fn from_cell(cell: Cell) -> Result<Self, String> {
                serde_json::from_str(&String::from_cell(cell)?).map_err(|e| e.to_string())
            }
        }
    )*};
}

json_fields!(
    OperationDefinition, BTreeMap<String, String>, BTreeMap<String, i64>, Vec<String>, Vec<ProjectId>, Vec<Role>, CinderFacts, Vec<Tag>, Vec<CheckpointResource>, Vec<SkippedResource>, VolumeChoice, ServerFacts, Replica,
    BackupDamage, Work
);
