//! How requests name domains, users, projects and scopes.

use crate::ServiceError;

/// The longest name of a user (Keystone's limit).
pub(super) const LONGEST_USER_NAME: usize = 255;
/// The longest name of a project (Keystone's limit).
pub(super) const LONGEST_PROJECT_NAME: usize = 64;

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
    pub(super) fn is_ours(&self) -> bool {
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

/// An application credential, as requests name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppCredentialName {
    /// By id.
    Id(String),
    /// By name, among a user's.
    Name(String, Named),
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

pub(super) fn check_name(name: &str, longest: usize) -> Result<(), ServiceError> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > longest {
        return Err(ServiceError::Invalid {
            field: "name",
            reason: format!("must have 1 to {longest} characters, not all of them spaces"),
        });
    }
    Ok(())
}
