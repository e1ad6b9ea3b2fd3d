//! Secrets, and what the catalogue knows them by.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returns 32 random bytes in 43 letters, digits, `-` and `_`: a token, or a password to begin with.
/// The first is never `-`: `openstack token revoke TOKEN` would take it for an option.
pub fn new_secret() -> String {
    loop {
        // Two random UUIDs would do but for their fixed bits, hence three, hashed.
        let mut hasher = blake3::Hasher::new();
        for _ in 0..3 {
            hasher.update(uuid::Uuid::new_v4().as_bytes());
        }
        let secret = URL_SAFE_NO_PAD.encode(hasher.finalize().as_bytes());
        if !secret.starts_with('-') {
            return secret;
        }
    }
}

/// Returns a new audit id: 22 letters that name a token in logs without giving it away.
pub(super) fn audit_id() -> String {
    URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes())
}

/// Returns what the catalogue knows a token by.
pub(super) fn hash_of(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}
