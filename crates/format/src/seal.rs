//! AES-256-GCM, and the envelope around every sealed object that is not a pack.

use std::fmt;
use std::ops::Range;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use uuid::Uuid;

use crate::FormatError;
use crate::bytes::Fields;

/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes that a seal adds.
pub const TAG_LEN: usize = 16;

/// A key that seals and opens. The caller answers for never using a nonce twice.
pub struct SealKey(LessSafeKey);

impl SealKey {
    /// Prepares a derived key.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, key).expect("the key has the cipher's length");
        Self(LessSafeKey::new(key))
    }

    /// Encrypts `data` where it lies and returns the tag.
    pub fn seal(&self, nonce: [u8; NONCE_LEN], aad: &[u8], data: &mut [u8]) -> [u8; TAG_LEN] {
        let tag = self
            .0
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
        self.0
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(aad), sealed)
            .map_err(|_| FormatError::Unsealed { what })
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
