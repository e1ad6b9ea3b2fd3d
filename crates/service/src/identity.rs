//! The built-in identity: users, projects, roles and tokens, kept in the catalogue.
//!
//! A token is 32 random bytes; the catalogue keeps only its BLAKE3. Every reason why somebody cannot
//! sign in is the same error, and costs the same time, so that an answer tells nothing about who exists.

mod app_credentials;
mod attempts;
mod cache;
mod change;
mod password;
pub(crate) mod people;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emberkeep_catalog::{Catalog, Change, Key, Row};
use emberkeep_model::{
    AppCredential, Project, ProjectId, Role, Timestamp, TokenRecord, User, UserId,
};

use crate::{Clock, ServiceError};
use attempts::{Attempts, Subject};
use cache::Cache;
use password::Passwords;

pub use app_credentials::{AppCredentialName, NewAppCredential};
pub use change::{ProjectChange, UserChange};
pub use people::{Bootstrapped, NewProject, NewUser};

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
fn fits(pattern: &str, path: &str) -> bool {
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

/// How the built-in identity behaves.
#[derive(Debug, Clone, Copy)]
pub struct IdentitySettings {
    /// How long a token got with a password lasts.
    pub token_lifetime: Duration,
}

impl Default for IdentitySettings {
    fn default() -> Self {
        Self {
            token_lifetime: Duration::from_secs(4 * 3600),
        }
    }
}

/// A domain, as requests name it. There is one: id `default`, name `Default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainName {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

impl DomainName {
    /// Tells whether it is the one domain there is.
    fn is_ours(&self) -> bool {
        match self {
            Self::Id(id) => id == "default",
            Self::Name(name) => name == "Default",
        }
    }
}

/// A user or a project, as requests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By id.
    Id(String),
    /// By name, within a domain.
    Name(String, DomainName),
}

/// What somebody shows to prove who they are.
#[derive(Clone)]
pub enum Proof {
    /// A name and a password.
    Password {
        /// Who.
        user: Named,
        /// The password.
        password: String,
    },
    /// A token they have already.
    Token(String),
    /// An application credential and its secret.
    AppCredential {
        /// Which.
        credential: AppCredentialName,
        /// The secret.
        secret: String,
    },
}

/// What a token is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// The user's default project; none if the user has no such.
    Default,
    /// Nothing: such a token only finds out what could be asked for.
    Unscoped,
    /// This project.
    Project(Named),
    /// A domain, the system, a trust: nobody has a role there.
    Elsewhere,
}

/// A new token: its text, which is nowhere kept, and what it is good for.
pub struct Issued {
    /// The token itself.
    pub token: String,
    /// What it is good for.
    pub info: TokenInfo,
}

/// The built-in identity.
pub struct Identity {
    catalog: Arc<dyn Catalog>,
    clock: Arc<dyn Clock>,
    settings: IdentitySettings,
    passwords: Passwords,
    attempts: Mutex<Attempts>,
    cache: Mutex<Cache>,
    purged_at: Mutex<Timestamp>,
    /// When a probe last wrote to the catalogue.
    proven: tokio::sync::Mutex<Option<Instant>>,
}

/// A probe is answered from the last success for this long.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Tokens that have ended are removed from the catalogue this often.
const PURGE_EVERY_SECS: i64 = 600;

impl Identity {
    /// Makes an identity over the users and projects in `catalog`.
    pub fn new(
        catalog: Arc<dyn Catalog>,
        clock: Arc<dyn Clock>,
        settings: IdentitySettings,
    ) -> Self {
        Self {
            catalog,
            clock,
            settings,
            passwords: Passwords::default(),
            attempts: Mutex::default(),
            cache: Mutex::default(),
            purged_at: Mutex::default(),
            proven: tokio::sync::Mutex::default(),
        }
    }

    /// Checks that the catalogue can be read and durably written.
    pub async fn probe(&self) -> Result<(), ServiceError> {
        const HASH: &str = "probe";
        self.catalog.token(HASH).await?;
        // Everybody may ask: no more than one write and sync a second.
        let mut proven = self.proven.lock().await;
        if proven.is_some_and(|at| at.elapsed() < PROBE_INTERVAL) {
            return Ok(());
        }
        *proven = None;
        // Comes and goes in one transaction, so that nobody ever sees it; its page is written all the same.
        let user_id = HASH.parse::<UserId>();
        let user_id = user_id.map_err(|e| ServiceError::Inner("probing", Box::new(e)))?;
        let now = self.clock.now();
        let row = TokenRecord {
            hash: HASH.to_owned(),
            user_id,
            project_id: None,
            methods: Vec::new(),
            audit_ids: Vec::new(),
            issued_at: now,
            expires_at: now,
            revoked: true,
            app_credential_id: None,
        };
        let changes = vec![
            Change::Insert(Row::Token(row)),
            Change::Remove(Key::Token(HASH.to_owned()), 0),
        ];
        self.catalog.apply(changes).await?;
        *proven = Some(Instant::now());
        Ok(())
    }

    /// Gives out a token for `scope` to whoever `proofs` prove; they must all be of one user.
    pub async fn sign_in(&self, proofs: &[Proof], scope: &Scope) -> Result<Issued, ServiceError> {
        self.sign_in_from(None, proofs, scope).await
    }

    /// The same for a client at `address`: its failures are counted apart from those of others.
    pub async fn sign_in_from(
        &self,
        address: Option<IpAddr>,
        proofs: &[Proof],
        scope: &Scope,
    ) -> Result<Issued, ServiceError> {
        let now = self.clock.now();
        self.purge(now).await;
        let mut proven: Option<Proven> = None;
        for proof in proofs {
            let next = match proof {
                Proof::Password { user, password } => {
                    self.prove_password(address, user, password).await?
                }
                Proof::Token(token) => self.prove_token(token).await?,
                Proof::AppCredential { credential, secret } => {
                    self.prove_app_credential(address, credential, secret)
                        .await?
                }
            };
            proven = Some(match proven {
                None => next,
                Some(first) => first.and(next)?,
            });
        }
        let proven = proven.ok_or(ServiceError::Unauthenticated)?;
        let project = match &proven.app_credential {
            Some(credential) => Some(self.project_of(credential, scope).await?),
            None => self.project_for(&proven.user, scope).await?,
        };
        let token = new_secret();
        let lifetime = i64::try_from(self.settings.token_lifetime.as_secs()).unwrap_or(i64::MAX);
        let mut audit_ids = vec![audit_id()];
        audit_ids.extend(proven.parent_audit_id);
        let record = TokenRecord {
            hash: hash_of(&token),
            user_id: proven.user.id.clone(),
            project_id: project.as_ref().map(|project| project.id.clone()),
            methods: proven.methods,
            audit_ids,
            issued_at: now,
            // A token got with a token ends with it: else nobody would ever need the password again.
            expires_at: proven.expires_at.unwrap_or_else(|| now.plus_secs(lifetime)),
            revoked: false,
            app_credential_id: proven.app_credential.map(|credential| credential.id),
        };
        let proven_by = proven.user.password_hash.clone();
        let info = self.describe(&record, proven.user, project).await?;
        self.catalog
            .apply(vec![Change::Insert(Row::Token(record))])
            .await?;
        // Tokens are taken back with a password: one that was made meanwhile must not escape.
        let user = self.catalog.user(&info.user_id).await?;
        if !user.is_some_and(|user| user.enabled && user.password_hash == proven_by) {
            self.revoke(&token).await?;
            return Err(ServiceError::Unauthenticated);
        }
        Ok(Issued { token, info })
    }

    /// Takes a token back. One that is good for nothing is `Unauthenticated`.
    pub async fn revoke(&self, token: &str) -> Result<(), ServiceError> {
        let hash = hash_of(token);
        let mut record = self.live_record(&hash).await?;
        record.revoked = true;
        self.catalog
            .apply(vec![Change::Save(Row::Token(record))])
            .await?;
        self.forget_tokens();
        Ok(())
    }

    /// Checks a name and a password.
    async fn prove_password(
        &self,
        address: Option<IpAddr>,
        user: &Named,
        password: &str,
    ) -> Result<Proven, ServiceError> {
        let user_row = self.find_user(user).await?.filter(|user| user.enabled);
        // Failures are counted by what was typed, whether anybody has that name or not: being refused must
        // not tell who exists.
        let subject = Subject::new(address, user);
        let permit = self.passwords.permit().await?;
        if lock(&self.attempts).is_blocked(&subject, self.clock.now()) {
            // The same work as for a wrong password, so that the time does not tell either.
            self.passwords
                .verify(permit, None, password.to_owned())
                .await?;
            // Not what was typed: people type passwords where names belong.
            let user = user_row.as_ref().map_or("unknown", |user| user.id.as_str());
            tracing::warn!(user, "sign-in refused: too many failed attempts");
            return Err(ServiceError::Unauthenticated);
        }
        let hash = user_row.as_ref().map(|user| user.password_hash.clone());
        let right = self
            .passwords
            .verify(permit, hash, password.to_owned())
            .await?;
        match user_row {
            Some(user) if right => {
                lock(&self.attempts).succeeded(&subject, self.clock.now());
                Ok(Proven {
                    user,
                    methods: vec!["password".to_owned()],
                    parent_audit_id: None,
                    expires_at: None,
                    app_credential: None,
                })
            }
            Some(_) | None => {
                lock(&self.attempts).failed(&subject, self.clock.now());
                Err(ServiceError::Unauthenticated)
            }
        }
    }

    /// Checks a token that is to be exchanged for another.
    async fn prove_token(&self, token: &str) -> Result<Proven, ServiceError> {
        let record = self.live_record(&hash_of(token)).await?;
        let user = self.enabled_user(&record.user_id).await?;
        let app_credential = match &record.app_credential_id {
            Some(id) => Some(self.live_app_credential(id).await?),
            None => None,
        };
        let mut methods = record.methods;
        if !methods.iter().any(|method| method == "token") {
            methods.push("token".to_owned());
        }
        Ok(Proven {
            user,
            methods,
            parent_audit_id: record.audit_ids.into_iter().next(),
            expires_at: Some(record.expires_at),
            app_credential,
        })
    }

    /// Finds the project of a scope. One that is asked for must be there; a default that is gone is none.
    async fn project_for(
        &self,
        user: &User,
        scope: &Scope,
    ) -> Result<Option<Project>, ServiceError> {
        let (project, must) = match scope {
            Scope::Unscoped => return Ok(None),
            Scope::Elsewhere => return Err(ServiceError::Unauthenticated),
            Scope::Project(named) => (self.find_project(named).await?, true),
            Scope::Default => match &user.default_project_id {
                Some(id) => (self.catalog.project(id).await?, false),
                None => return Ok(None),
            },
        };
        if let Some(project) = project.filter(|project| project.enabled)
            && !self.roles_in(&user.id, &project.id).await?.is_empty()
        {
            return Ok(Some(project));
        }
        if must {
            Err(ServiceError::Unauthenticated)
        } else {
            Ok(None)
        }
    }

    /// Looks a token up; one that has ended or was taken back counts as not there.
    async fn live_record(&self, hash: &str) -> Result<TokenRecord, ServiceError> {
        self.catalog
            .token(hash)
            .await?
            .filter(|record| !record.revoked && record.expires_at > self.clock.now())
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Looks a user up who can sign in.
    async fn enabled_user(&self, id: &UserId) -> Result<User, ServiceError> {
        self.catalog
            .user(id)
            .await?
            .filter(|user| user.enabled)
            .ok_or(ServiceError::Unauthenticated)
    }

    /// Says what a token is good for now. A scoped one whose project or roles are gone is good for nothing.
    async fn describe(
        &self,
        record: &TokenRecord,
        user: User,
        project: Option<Project>,
    ) -> Result<TokenInfo, ServiceError> {
        let credential = match &record.app_credential_id {
            Some(id) => Some(self.live_app_credential(id).await?),
            None => None,
        };
        let (project, roles) = match project {
            None => (None, Vec::new()),
            Some(project) => {
                let mut roles = self.roles_in(&user.id, &project.id).await?;
                if let Some(credential) = &credential {
                    let given = |role: &Role| {
                        credential
                            .roles
                            .iter()
                            .any(|one| one.implied().contains(role))
                    };
                    roles.retain(given);
                }
                (Some((project.id, project.name)), roles)
            }
        };
        if project.is_some() && roles.is_empty() {
            return Err(ServiceError::Unauthenticated);
        }
        Ok(TokenInfo {
            user_id: user.id,
            user_name: user.name,
            project,
            roles,
            methods: record.methods.clone(),
            audit_ids: record.audit_ids.clone(),
            issued_at: record.issued_at,
            expires_at: record.expires_at,
            access_rules: None,
            app_credential: credential.map(|credential| TokenCredential {
                id: credential.id,
                name: credential.name,
                restricted: !credential.unrestricted,
            }),
        })
    }

    /// Removes tokens that have ended, once in a while; failing to is no reason to refuse anybody.
    async fn purge(&self, now: Timestamp) {
        {
            let mut purged_at = lock(&self.purged_at);
            if now < purged_at.plus_secs(PURGE_EVERY_SECS) {
                return;
            }
            *purged_at = now;
        }
        if let Err(error) = self.catalog.purge_tokens(now).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "old tokens were not removed"
            );
        }
    }

    /// Makes every token be looked up again, after something about one, a user or a project changed.
    fn forget_tokens(&self) {
        lock(&self.cache).clear();
    }
}

#[async_trait]
impl Authenticator for Identity {
    async fn validate(&self, token: &str) -> Result<TokenInfo, ServiceError> {
        let hash = hash_of(token);
        let now = self.clock.now();
        let epoch = {
            let cache = lock(&self.cache);
            if let Some(info) = cache.get(&hash, now) {
                return Ok(info);
            }
            cache.epoch()
        };
        let record = self.live_record(&hash).await?;
        let user = self.enabled_user(&record.user_id).await?;
        let project = match &record.project_id {
            None => None,
            Some(id) => Some(
                self.catalog
                    .project(id)
                    .await?
                    .filter(|project| project.enabled)
                    .ok_or(ServiceError::Unauthenticated)?,
            ),
        };
        let info = self.describe(&record, user, project).await?;
        lock(&self.cache).put(epoch, hash, info.clone(), now);
        Ok(info)
    }
}

/// Somebody who has shown who they are.
struct Proven {
    user: User,
    methods: Vec<String>,
    parent_audit_id: Option<String>,
    expires_at: Option<Timestamp>,
    app_credential: Option<AppCredential>,
}

impl Proven {
    /// Joins two proofs, which must be of the same user; the token lasts as long as the shorter one.
    fn and(mut self, other: Self) -> Result<Self, ServiceError> {
        if self.user.id != other.user.id {
            return Err(ServiceError::Unauthenticated);
        }
        for method in other.methods {
            if !self.methods.contains(&method) {
                self.methods.push(method);
            }
        }
        self.parent_audit_id = self.parent_audit_id.or(other.parent_audit_id);
        // What limits one of them limits both.
        self.app_credential = self.app_credential.or(other.app_credential);
        self.expires_at = match (self.expires_at, other.expires_at) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        Ok(self)
    }
}

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
fn audit_id() -> String {
    URL_SAFE_NO_PAD.encode(uuid::Uuid::new_v4().as_bytes())
}

/// Returns what the catalogue knows a token by.
fn hash_of(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}

/// Locks a mutex. What is guarded here is whole after every statement, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
