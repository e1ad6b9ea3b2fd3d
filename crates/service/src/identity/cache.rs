//! Remembers for a moment what tokens are good for: every request asks.

use std::collections::HashMap;

use emberkeep_model::Timestamp;

use super::token::TokenInfo;

/// So many tokens are remembered.
const MOST_TOKENS: usize = 4096;
/// For so long: another process may take a token back, and is noticed by then.
const LIFETIME_SECS: i64 = 30;

/// What tokens are good for, by the hash of each.
#[derive(Default)]
pub(super) struct Cache {
    tokens: HashMap<String, (TokenInfo, Timestamp)>,
    epoch: u64,
}

impl Cache {
    /// Returns what is known of a token and still holds.
    pub(super) fn get(&self, hash: &str, now: Timestamp) -> Option<TokenInfo> {
        self.tokens
            .get(hash)
            .filter(|(_, until)| now < *until)
            .map(|(info, _)| info.clone())
    }

    /// Returns a number that [`Cache::clear`] changes.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Remembers a token looked up since `epoch`; what was cleared meanwhile may be out of date and is not kept.
    pub(super) fn put(&mut self, epoch: u64, hash: String, info: TokenInfo, now: Timestamp) {
        if epoch != self.epoch {
            return;
        }
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.retain(|_, (_, until)| now < *until);
        }
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens.clear();
        }
        let until = now.plus_secs(LIFETIME_SECS).min(info.expires_at);
        self.tokens.insert(hash, (info, until));
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.tokens.clear();
        self.epoch += 1;
    }
}
