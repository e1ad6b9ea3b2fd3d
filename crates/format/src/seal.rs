//! AES-256-GCM, and the envelope around every sealed object that is not a pack.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use uuid::Uuid;

use crate::FormatError;
use crate::bytes::Fields;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes that a seal adds.
pub const TAG_LEN: usize = 16;

/// A key that seals and opens, and keys before it that still open. The caller answers for never
/// using a nonce twice.
pub struct SealKey {
    current: LessSafeKey,
    /// Latest first.
    older: Vec<LessSafeKey>,
    /// Which key opened last: what is read in a row was mostly sealed in a row.
    last: AtomicUsize,
}

impl SealKey {
    /// Prepares a derived key.
    pub fn new(key: &[u8; 32]) -> Self {
        Self::with_older(key, std::iter::empty())
    }

    /// Prepares a derived key that seals, and others, latest first, that have sealed before it.
    pub fn with_older<'k>(key: &[u8; 32], older: impl IntoIterator<Item = &'k [u8; 32]>) -> Self {
        let prepare = |key: &[u8; 32]| {
            let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
            LessSafeKey::new(key)
        };
        Self {
            current: prepare(key),
            older: older.into_iter().map(prepare).collect(),
            last: AtomicUsize::new(0),
        }
    }

    /// Encrypts `data` where it lies and returns the tag.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self
            .current
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), data)
            .expect("AES-GCM takes any message below 64 GiB");
        let mut bytes = [0; TAG_LEN];
        bytes.copy_from_slice(tag.as_ref());
        bytes
    }

    /// Decrypts ciphertext and tag where they lie and returns the plaintext.
    pub fn open<'d>(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        sealed: &'d mut [u8],
        what: &'static str,
    ) -> Result<&'d mut [u8], FormatError> {
        let unsealed = |_| FormatError::Unsealed { what };
        let open = |key: &LessSafeKey, sealed: &'d mut [u8]| {
            key.open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed)
                .map_err(unsealed)
        };
        if self.older.is_empty() {
            return open(&self.current, sealed);
        }
        let key = self
            .opener(nonce, aad, sealed)
            .ok_or(FormatError::Unsealed { what })?;
        open(key, sealed)
    }

    /// Finds the key that opens; leaves the ciphertext as it is, which a failed attempt does not.
    fn opener(&self, nonce: [u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> Option<&LessSafeKey> {
        let keys = || std::iter::once(&self.current).chain(&self.older);
        let last = self.last.load(Ordering::Relaxed);
        let order = std::iter::once(last).chain((0..=self.older.len()).filter(|at| *at != last));
        let mut attempt = Vec::with_capacity(sealed.len());
        for at in order {
            let key = keys().nth(at)?;
            attempt.clear();
            attempt.extend_from_slice(sealed);
            let nonce = Nonce::assume_unique_for_key(nonce);
            if key
                .open_in_place(nonce, Aad::from(aad), &mut attempt)
                .is_ok()
            {
                self.last.store(at, Ordering::Relaxed);
                return Some(key);
            }
        }
        None
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// What an envelope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum EnvelopeKind {
    /// The repository secret under a master key.
    MasterWrap = 1,
    /// A project's data key under the repository secret.
    ProjectKey = 2,
    /// A run of the index.
    IndexRun = 3,
    /// A backup's manifest.
    Manifest = 4,
    /// A running session.
    Session = 5,
    /// What a sweep is about to delete.
    Condemnation = 6,
    /// Who may sweep.
    Lease = 7,
    /// How far an unfinished backup came.
    Progress = 8,
    /// When packs were last read through.
    Verified = 9,
    /// That a backup was made.
    LedgerEntry = 10,
    /// That a backup was deleted.
    Tombstone = 11,
    /// Which backups there are, and which were deleted.
    LedgerSet = 12,
    /// A part of a copy of the catalog.
    CatalogCopy = 13,
}

impl EnvelopeKind {
    fn what(self) -> &'static str {
        match self {
            Self::MasterWrap => "wrapped repository secret",
            Self::ProjectKey => "wrapped project key",
            Self::IndexRun => "index run",
            Self::Manifest => "manifest",
            Self::Session => "session",
            Self::Condemnation => "condemnation",
            Self::Lease => "sweep lease",
            Self::Progress => "progress record",
            Self::Verified => "record of verified packs",
            Self::LedgerEntry => "ledger entry",
            Self::Tombstone => "tombstone",
            Self::LedgerSet => "ledger set",
            Self::CatalogCopy => "catalog copy",
        }
    }
}

const MAGIC: &[u8; 4] = b"EMKE";
const VERSION: u8 = 1;
const HEAD: usize = 8;

/// Where a sealed object lies: bound into the seal, so that moved bytes do not open.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    /// What it holds.
    pub kind: EnvelopeKind,
    /// The repository it belongs to.
    pub repository: Uuid,
    /// The object's name.
    pub name: &'a str,
}

impl Envelope<'_> {
    fn aad(&self, head: &[u8; HEAD]) -> Vec<u8> {
        [
            head,
            self.repository.as_bytes().as_slice(),
            self.name.as_bytes(),
        ]
        .concat()
    }

    /// Seals `plain` under a key with a nonce drawn at random.
    pub fn seal(&self, key: &SealKey, nonce: [u8; NONCE_LEN], plain: &[u8]) -> Vec<u8> {
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(MAGIC);
        head[4] = VERSION;
        head[5] = self.kind as u8;
        let mut out = Vec::with_capacity(HEAD + NONCE_LEN + plain.len() + TAG_LEN);
        out.extend_from_slice(&head);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let tag = key.seal(nonce, &self.aad(&head), &mut out[HEAD + NONCE_LEN..]);
        out.extend_from_slice(&tag);
        out
    }

    /// Opens stored bytes where they lie and returns the plaintext.
    pub fn open<'d>(&self, key: &SealKey, stored: &'d mut [u8]) -> Result<&'d [u8], FormatError> {
        let plain = self.open_within(key, stored)?;
        Ok(&stored[plain])
    }

    /// Opens stored bytes where they lie and returns where in them the plaintext is.
    pub fn open_within(
        &self,
        key: &SealKey,
        stored: &mut [u8],
    ) -> Result<Range<usize>, FormatError> {
        let what = self.kind.what();
        let mut fields = Fields::new(stored, what);
        let head: [u8; HEAD] = fields.array()?;
        let nonce: [u8; NONCE_LEN] = fields.array()?;
        if &head[..4] != MAGIC {
            return Err(FormatError::BadMagic { what });
        }
        if head[4] != VERSION {
            return Err(FormatError::UnknownVersion {
                what,
                version: head[4].into(),
            });
        }
        if head[5] != self.kind as u8 || head[6..] != [0, 0] {
            return Err(FormatError::BadMagic { what });
        }
        let aad = self.aad(&head);
        let start = HEAD + NONCE_LEN;
        let plain = key.open(nonce, &aad, &mut stored[start..], what)?;
        Ok(start..start + plain.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_before_the_current_one_open_and_do_not_seal() {
        let place = Envelope {
            kind: EnvelopeKind::Manifest,
            repository: Uuid::from_u128(1),
            name: "p/a/manifests/x",
        };
        let sealed = |key: u8| place.seal(&SealKey::new(&[key; 32]), [9; NONCE_LEN], &[key; 100]);
        let key = SealKey::with_older(&[3; 32], [&[2; 32], &[1; 32]]);
        for was in [1, 1, 3, 2, 3, 1] {
            assert_eq!(
                place.open(&key, &mut sealed(was)).unwrap(),
                [was; 100],
                "key {was}"
            );
        }
        assert!(place.open(&key, &mut sealed(4)).is_err());
        let new = place.seal(&key, [8; NONCE_LEN], b"new");
        for (was, opens) in [(3, true), (2, false), (1, false)] {
            let alone = SealKey::new(&[was; 32]);
            assert_eq!(
                place.open(&alone, &mut new.clone()).is_ok(),
                opens,
                "key {was}"
            );
        }
    }

    #[test]
    fn every_flipped_byte_and_every_other_place_is_refused() {
        let key = SealKey::new(&[3; 32]);
        let place = Envelope {
            kind: EnvelopeKind::Manifest,
            repository: Uuid::from_u128(1),
            name: "p/a/manifests/x",
        };
        let sealed = place.seal(&key, [9; NONCE_LEN], b"hello");
        assert_eq!(place.open(&key, &mut sealed.clone()).unwrap(), b"hello");
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 0x40;
            assert!(place.open(&key, &mut bad).is_err(), "byte {at}");
            assert!(
                place.open(&key, &mut sealed[..at].to_vec()).is_err(),
                "cut at {at}"
            );
        }
        for elsewhere in [
            Envelope {
                kind: EnvelopeKind::Session,
                ..place
            },
            Envelope {
                repository: Uuid::from_u128(2),
                ..place
            },
            Envelope {
                name: "p/a/manifests/y",
                ..place
            },
        ] {
            assert!(elsewhere.open(&key, &mut sealed.clone()).is_err());
        }
        assert!(
            place
                .open(&SealKey::new(&[4; 32]), &mut sealed.clone())
                .is_err()
        );
    }
}
