//! What runs leave while they work: nothing that a backup needs, and sealed all the same.

use emberkeep_format::{
    Condemnation, EnvelopeKind, FormatError, Lease, Progress, SessionRecord, Verified,
};
use emberkeep_store::list_all;

use crate::damage::{Damage, ReadError};
use crate::space::Space;

/// Opens every such record and returns those that cannot be read.
pub(super) fn damaged(space: &Space) -> Result<Vec<Damage>, ReadError> {
    fn read<T>(
        decode: impl Fn(&[u8]) -> Result<T, FormatError>,
    ) -> impl Fn(&[u8]) -> Result<(), FormatError> {
        move |bytes| decode(bytes).map(drop)
    }
    type Reader = Box<dyn Fn(&[u8]) -> Result<(), FormatError>>;
    let (names, mut found) = (&space.names, Vec::new());
    let kinds: [(String, EnvelopeKind, Reader); 5] = [
        (
            names.sessions(),
            EnvelopeKind::Session,
            Box::new(read(SessionRecord::decode)),
        ),
        (
            names.condemned(),
            EnvelopeKind::Condemnation,
            Box::new(read(Condemnation::decode)),
        ),
        (
            names.leases(),
            EnvelopeKind::Lease,
            Box::new(read(Lease::decode)),
        ),
        (
            names.all_progress(),
            EnvelopeKind::Progress,
            Box::new(read(Progress::decode)),
        ),
        (
            names.all_verified(),
            EnvelopeKind::Verified,
            Box::new(read(Verified::decode)),
        ),
    ];
    for (prefix, kind, decode) in kinds {
        for object in list_all(&*space.store, &prefix)? {
            match space.load_if_there(kind, &object.name, &decode) {
                Ok(_) => {}
                Err(ReadError::Damaged(damage)) => found.push(*damage),
                Err(cause) => return Err(cause),
            }
        }
    }
    Ok(found)
}
