//! What travels: the bodies of the identity, Block Storage, CBR and native APIs, and total
//! conversions between them and the model. Pure: no sockets, no clock, no status is decided here
//! that depends on more than the body; start at `time.rs`, which all of them use.

pub mod cbr;
pub mod cinder;
mod damage;
pub mod identity;
pub mod ids;
#[cfg(feature = "schema")]
pub mod json_schema;
pub mod keyed;
pub mod lenient;
pub mod native;
pub mod request;
pub mod time;
