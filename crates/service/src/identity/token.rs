//! Tokens: what one is good for.

use async_trait::async_trait;
use emberkeep_model::{ProjectId, Role, Timestamp, UserId};

use crate::ServiceError;

/// Says what a token is good for.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Returns whose token it is and what it allows; `Unauthenticated` if it is unknown, expired or revoked.
    async fn validate(&self, token: &str) -> Result<TokenInfo, ServiceError>;
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInfo {
    /// Whose it is.
    pub user_id: UserId,
    /// That user's name.
    pub user_name: String,
    /// The project it is for, with its name; none when unscoped.
    pub project: Option<(ProjectId, String)>,
    /// The roles in that project, implied ones included.
    pub roles: Vec<Role>,
    /// How it was got.
    pub methods: Vec<String>,
    /// Its own audit id, then that of the token it came from.
    pub audit_ids: Vec<String>,
    /// When it was given out.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The application credential it was got with.
    pub app_credential: Option<TokenCredential>,
    /// The only requests it is good for; none where it is good for all.
    pub access_rules: Option<Vec<AccessRule>>,
}

/// A kind of request that a token bound to rules is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    /// The type of the service, as catalogues name it.
    pub service: String,
    /// The method.
    pub method: String,
    /// The path: `*` and `{name}` stand for one part of it, `**` for any number.
    pub path: String,
}

impl AccessRule {
    /// Tells whether a request of that method and path to a service of that type keeps to the rule.
    pub fn allows(&self, service: &str, method: &str, path: &str) -> bool {
        self.service == service && self.method == method && fits(&self.path, path)
    }
}

/// Holds a path against a pattern as keystonemiddleware does, in steps of both their lengths.
pub(super) fn fits(pattern: &str, path: &str) -> bool {
    let path = path.as_bytes();
    let mut rest = pattern;
    // Where in the path the pattern so far may have ended.
    let mut ends = vec![false; path.len() + 1];
    ends[0] = true;
    while let Some(first) = rest.chars().next() {
        let (across, behind) = if let Some(behind) = rest.strip_prefix("**") {
            (true, behind)
        } else if let Some(behind) = rest.strip_prefix('*') {
            (false, behind)
        } else if let (true, Some((_, behind))) = (first == '{', rest.split_once('}')) {
            (false, behind)
        } else {
            let literal = &rest.as_bytes()[..first.len_utf8()];
            let mut next = vec![false; path.len() + 1];
            for at in (0..path.len()).filter(|at| ends[*at]) {
                if path[at..].starts_with(literal) {
                    next[at + literal.len()] = true;
                }
            }
            (ends, rest) = (next, &rest[first.len_utf8()..]);
            continue;
        };
        // One part must not be empty; any number of them may.
        let mut next = if across {
            ends.clone()
        } else {
            vec![false; path.len() + 1]
        };
        for (at, byte) in path.iter().enumerate() {
            let reached = ends[at] || next[at];
            next[at + 1] |= reached && (across || *byte != b'/');
        }
        (ends, rest) = (next, behind);
    }
    ends[path.len()]
}

/// The application credential that a token was got with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCredential {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// It may not make or delete further ones.
    pub restricted: bool,
}

impl TokenInfo {
    /// Tells whether it carries `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// A new token: its text, which is nowhere kept, and what it is good for.
pub struct Issued {
    /// The token itself.
    pub token: String,
    /// What it is good for.
    pub info: TokenInfo,
}
