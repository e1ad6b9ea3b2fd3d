//! What objects refuse, and what Cinder calls it.
//!
//! The class and module travel in failures over the message bus, so each error knows them.

use crate::datetime::TimeError;

/// The exception that Cinder would raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorClass {
    /// Its name.
    pub name: &'static str,
    /// The module it lives in.
    pub module: &'static str,
}

impl ErrorClass {
    pub(crate) const fn builtin(name: &'static str) -> Self {
        Self {
            name,
            module: "builtins",
        }
    }

    pub(crate) const fn objects(name: &'static str) -> Self {
        Self {
            name,
            module: "oslo_versionedobjects.exception",
        }
    }

    pub(crate) const fn cinder(name: &'static str) -> Self {
        Self {
            name,
            module: "cinder.exception",
        }
    }

    pub(crate) const fn database(name: &'static str) -> Self {
        Self {
            name,
            module: "oslo_db.exception",
        }
    }
}

/// Why a value does not fit a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoerceError {
    /// The field takes no null.
    #[error("Field `{field}' cannot be None")]
    Null {
        /// The field.
        field: String,
    },
    /// The value is of another type.
    #[error("{wanted} is required in field {field}, not a {found}")]
    Type {
        /// What the field takes.
        wanted: String,
        /// The field.
        field: String,
        /// What was given.
        found: String,
    },
    /// The value is not among those allowed.
    #[error("Field value {value} is invalid")]
    NotAllowed {
        /// The value.
        value: String,
    },
    /// The text is no integer.
    #[error("invalid literal for int() with base 10: {literal}")]
    NotAnInteger {
        /// The text, quoted.
        literal: String,
    },
    /// The value can be made no integer.
    #[error("int() argument must be a string, a bytes-like object or a real number, not '{found}'")]
    NotANumber {
        /// Its type.
        found: &'static str,
    },
    /// The float is no number.
    #[error("cannot convert float NaN to integer")]
    Nan,
    /// The float has no end.
    #[error("cannot convert float infinity to integer")]
    Infinite,
    /// The integer does not fit 64 bits; no column of Cinder's holds as much.
    #[error("Field value {value} is too large")]
    TooLarge {
        /// The value.
        value: String,
    },
    /// The text is no time.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A primitive has something else where the text of a time should be.
    #[error("expected string or bytes-like object, got '{found}'")]
    TimeNotText {
        /// Its type.
        found: &'static str,
    },
    /// A key of a dict is not text.
    #[error("Key {key} must be of type str not {found}")]
    Key {
        /// The key.
        key: String,
        /// Its type.
        found: &'static str,
    },
}

impl CoerceError {
    /// Returns the exception that Cinder would raise.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotANumber { .. } => ErrorClass::builtin("TypeError"),
            Self::Infinite | Self::TooLarge { .. } => ErrorClass::builtin("OverflowError"),
            Self::Key { .. } => ErrorClass {
                name: "KeyTypeError",
                module: "oslo_versionedobjects.fields",
            },
            Self::Null { .. }
            | Self::Type { .. }
            | Self::NotAllowed { .. }
            | Self::NotAnInteger { .. }
            | Self::Nan
            | Self::Time(_)
            | Self::TimeNotText { .. } => ErrorClass::builtin("ValueError"),
        }
    }
}

/// Why a primitive is not taken, or not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrimitiveError {
    /// The object is none of Cinder's, or of no class of ours.
    #[error("Unsupported object type {name}")]
    Unsupported {
        /// What it calls itself.
        name: String,
    },
    /// The object is newer than we know, or of another line.
    #[error("Version {version} of {name} is not supported, supported version is {supported}")]
    Incompatible {
        /// Its class.
        name: String,
        /// Its version.
        version: String,
        /// Ours.
        supported: &'static str,
    },
    /// The version is none.
    #[error("Invalid version: {version}")]
    Version {
        /// What it says, quoted.
        version: String,
    },
    /// A part of the layout is missing.
    #[error("'{key}'")]
    Missing {
        /// Which.
        key: &'static str,
    },
    /// A part of the layout is something else than it should be.
    #[error("{message}")]
    Shape {
        /// In Python's words.
        message: String,
        /// Whether it is an attribute that was looked for in vain.
        attribute: bool,
    },
    /// Objects are nested in each other too deep.
    #[error("maximum recursion depth exceeded")]
    TooDeep,
    /// The target is newer than the object.
    #[error("Invalid target version {version}")]
    Target {
        /// The target.
        version: String,
    },
}

impl PrimitiveError {
    /// Returns the exception that Cinder would raise.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Unsupported { .. } => ErrorClass::objects("UnsupportedObjectError"),
            Self::Incompatible { .. } => ErrorClass::objects("IncompatibleObjectVersion"),
            Self::Target { .. } => ErrorClass::objects("InvalidTargetVersion"),
            Self::Version { .. } => ErrorClass {
                name: "InvalidVersion",
                module: "packaging.version",
            },
            Self::Missing { .. } => ErrorClass::builtin("KeyError"),
            Self::Shape { attribute, .. } => ErrorClass::builtin(if *attribute {
                "AttributeError"
            } else {
                "TypeError"
            }),
            Self::TooDeep => ErrorClass::builtin("RecursionError"),
        }
    }
}

/// Everything an object or a list of them can refuse.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// A value does not fit its field.
    #[error(transparent)]
    Coerce(#[from] CoerceError),
    /// A primitive is not taken or not made.
    #[error(transparent)]
    Primitive(#[from] PrimitiveError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A cap on versions is not known.
    #[error(transparent)]
    Cap(#[from] CapError),
    /// The database refused or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The method cannot be called on the object as it is.
    #[error("Object action {action} failed because: {reason}")]
    Action {
        /// The method.
        action: &'static str,
        /// Why not.
        reason: String,
    },
    /// The object has no context to act in.
    #[error("Cannot call {method} on orphaned {object} object")]
    Orphaned {
        /// The method.
        method: &'static str,
        /// The object's class.
        object: &'static str,
    },
    /// There is no such field.
    #[error("{object} object has no attribute '{name}'")]
    NoSuchField {
        /// The object's class.
        object: &'static str,
        /// What was asked for.
        name: String,
    },
    /// The field is unset, though a database would have filled it.
    #[error("'{object}' object has no attribute '_obj_{field}'")]
    NotLoaded {
        /// The object's class.
        object: &'static str,
        /// The field.
        field: String,
    },
    /// Metadata cannot be saved as null.
    #[error("argument of type 'NoneType' is not iterable")]
    NullMetadata,
    /// An object cannot be constructed with null metadata.
    #[error("'NoneType' object is not iterable")]
    NullAtConstruction,
    /// Of volume and snapshot, exactly one must be set.
    #[error("Either snapshot or volume field should be set.")]
    AmbiguousDevice,
    /// There is no such backup, or it is not to be seen.
    #[error("Backup {id} could not be found.")]
    NotFound {
        /// Its id.
        id: String,
    },
    /// Only an administrator may.
    #[error("User does not have admin privileges")]
    AdminRequired,
    /// The caller may not.
    #[error("Not authorized.")]
    NotAuthorized,
    /// What was asked makes no sense.
    #[error("Invalid input received: {reason}")]
    InvalidInput {
        /// Why.
        reason: &'static str,
    },
}

impl ObjectError {
    /// Returns the exception that Cinder would raise.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Coerce(error) => error.class(),
            Self::Primitive(error) => error.class(),
            Self::Record(_) | Self::InvalidInput { .. } => ErrorClass::cinder("InvalidInput"),
            Self::Cap(_) => ErrorClass::cinder("CappedVersionUnknown"),
            Self::Store(StoreError::Duplicate { .. }) => ErrorClass::database("DBDuplicateEntry"),
            Self::Store(StoreError::Rejected { .. } | StoreError::Failed(_)) => {
                ErrorClass::database("DBError")
            }
            Self::Action { .. } => ErrorClass::objects("ObjectActionError"),
            Self::Orphaned { .. } => ErrorClass::objects("OrphanedObjectError"),
            Self::NoSuchField { .. } | Self::NotLoaded { .. } => {
                ErrorClass::builtin("AttributeError")
            }
            Self::NullMetadata | Self::NullAtConstruction => ErrorClass::builtin("TypeError"),
            Self::AmbiguousDevice => ErrorClass::cinder("ProgrammingError"),
            Self::NotFound { .. } => ErrorClass::cinder("BackupNotFound"),
            Self::AdminRequired => ErrorClass::cinder("AdminRequired"),
            Self::NotAuthorized => ErrorClass::cinder("NotAuthorized"),
        }
    }

    pub(crate) fn not_loadable(name: &str) -> Self {
        Self::Action {
            action: "obj_load_attr",
            reason: format!("attribute {name} not lazy-loadable"),
        }
    }
}

impl From<TimeError> for ObjectError {
    fn from(error: TimeError) -> Self {
        Self::Coerce(error.into())
    }
}

/// Why a text is not a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not base64.
    #[error("Invalid input received: Can't decode backup record.")]
    Decode,
    /// What it holds is not JSON in UTF-8.
    #[error("Invalid input received: Can't parse backup record.")]
    Parse,
}

/// The oldest service of the deployment has a version that we do not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Unrecoverable Error: Versioned Objects in DB are capped to unknown version {version}. Most likely your \
     environment contains only new services and you're trying to start an older one. Use `cinder-manage service \
     list` to check that and upgrade this service."
)]
pub struct CapError {
    /// The version.
    pub version: String,
}

/// What can go wrong in the database.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with that id exists, deleted or not.
    #[error("a backup {id} exists already")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// The table does not take the value.
    #[error("the database does not take {column} as it is")]
    Rejected {
        /// The column.
        column: &'static str,
    },
    /// The database failed.
    #[error("the database failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}
