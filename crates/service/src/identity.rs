//! The built-in identity: users, projects, roles and tokens, kept in the catalogue.
//!
//! A token is 32 random bytes; the catalogue keeps only its BLAKE3. Every reason why somebody cannot
//! sign in is the same error, and costs the same time, so that an answer tells nothing about who exists.

mod app_credentials;
mod attempts;
mod cache;
mod change;
mod names;
mod password;
pub(crate) mod people;
mod proof;
mod secret;
mod sign_in;
mod state;
mod token;

pub use app_credentials::NewAppCredential;
pub use change::{ProjectChange, UserChange};
pub use names::{AppCredentialName, DomainName, Named, Scope};
pub use people::{Bootstrapped, NewProject, NewUser};
pub use proof::Proof;
pub use secret::new_secret;
pub use state::{Identity, IdentitySettings};
pub use token::{AccessRule, Authenticator, Issued, TokenCredential, TokenInfo};

#[cfg(test)]
mod tests;
