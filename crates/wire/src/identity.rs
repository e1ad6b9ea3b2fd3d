//! The identity API: a Keystone v3 subset, as far as clients of the other APIs need it
//! (`clients.md §7`). Requests are read strictly, and no value that may be a secret is ever echoed.

mod auth;
#[cfg(feature = "schema")]
pub mod bodies;
mod requests;
#[cfg(test)]
mod samples;
mod views;

pub use auth::{
    AppCredentialRef, AuthMethod, AuthRequest, DomainRef, NamedRef, ScopeRequest, Secret,
};
pub use requests::{
    AppCredentialCreate, PasswordChange, ProjectCreate, ProjectUpdate, UserCreate, UserUpdate,
};
#[cfg(feature = "schema")]
pub use views::list_schema;
pub use views::{
    AppCredentialView, AssignedTo, AssignmentLinks, AssignmentScope, CatalogEntry, DOMAIN_ID,
    DOMAIN_NAME, Domain, DomainView, Endpoint, EndpointView, Fault, FaultBody, IdName, Link, Links,
    ListLinks, MediaType, ProjectView, RegionView, RoleAssignmentView, RoleView, ServiceView,
    Token, TokenAppCredential, TokenBody, TokenProject, TokenUser, UserView, Version,
    VersionValues, Versions, list,
};

use serde_json::Value;

crate::request::requests! {
    keyed {}
    whole {
        AuthRequest,
        UserCreate,
        ProjectCreate,
    }
}

/// A body that is JSON but not what it should be; says which field, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A field that must be there is not.
    #[error(
        "Expecting to find {field} in {parent}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."
    )]
    Missing {
        /// The field.
        field: &'static str,
        /// What it belongs to.
        parent: &'static str,
    },
    /// A field is not of the right kind.
    #[error("Invalid input for field '{field}': {reason}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What it should have been.
        reason: &'static str,
    },
}

/// Returns a field that must be there and not null.
fn need<'a>(
    object: &'a Value,
    parent: &'static str,
    field: &'static str,
) -> Result<&'a Value, Malformed> {
    if !object.is_object() {
        return Err(Malformed::Invalid {
            field: parent,
            reason: "it must be an object",
        });
    }
    optional(object, field).ok_or(Malformed::Missing { field, parent })
}

/// Returns a field; null counts as not given.
fn optional<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    object.get(field).filter(|value| !value.is_null())
}

/// Returns a text that must be there.
fn need_text(
    object: &Value,
    parent: &'static str,
    field: &'static str,
) -> Result<String, Malformed> {
    as_text(need(object, parent, field)?, field)
}

/// Returns a text that may be left out.
fn optional_text(object: &Value, field: &'static str) -> Result<Option<String>, Malformed> {
    optional(object, field)
        .map(|value| as_text(value, field))
        .transpose()
}

/// Returns a truth value that may be left out.
fn optional_bool(object: &Value, field: &'static str) -> Result<Option<bool>, Malformed> {
    optional(object, field)
        .map(|value| {
            value.as_bool().ok_or(Malformed::Invalid {
                field,
                reason: "it must be true or false",
            })
        })
        .transpose()
}

fn as_text(value: &Value, field: &'static str) -> Result<String, Malformed> {
    value.as_str().map(str::to_owned).ok_or(Malformed::Invalid {
        field,
        reason: "it must be a string",
    })
}
