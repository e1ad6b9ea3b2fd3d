//! The object-store port and its adapters. Knows nothing of what objects hold; start at `port.rs`.

mod cached;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
#[cfg(any(test, feature = "testing"))]
mod faulty;
mod local;
mod memory;
mod name;
mod paced;
pub mod port;
#[cfg(feature = "s3")]
mod s3;

pub use cached::{CachedStore, Keep};
#[cfg(any(test, feature = "testing"))]
pub use faulty::{Counted, Fault, FaultKind, FaultPlan, FaultyStore, Moment};
pub use local::LocalStore;
pub use memory::MemoryStore;
pub use paced::{Pace, PacedStore};
pub use port::{Listed, ObjectStore, StoreError, list_all};
#[cfg(feature = "s3")]
pub use s3::{Exclusion, S3Place, S3Store};
