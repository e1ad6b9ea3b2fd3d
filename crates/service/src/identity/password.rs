//! Hashes and checks passwords, off the async threads and only a few at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ServiceError;

/// Each takes 19 MiB and a core for some tens of milliseconds: more at once would only starve the rest.
const MOST_AT_ONCE: usize = 2;

/// Longer ones are never right: hashing megabytes is work for nothing.
pub(super) const LONGEST_PASSWORD: usize = 1024;

/// Checked against when there is no such user, so that the answer takes as long. Nothing hashes to it.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$RW1iZXJrZWVwTm9ib2R5IQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and checks passwords.
pub(super) struct Passwords {
    permits: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(MOST_AT_ONCE)),
        }
    }
}

impl Passwords {
    /// Waits for its turn to hash or check one.
    pub(super) async fn permit(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| failed(error.into()))
    }

    /// Tells whether `password` is the one that `hash` was made from; never, if there is no hash.
    pub(super) async fn verify(
        &self,
        permit: OwnedSemaphorePermit,
        hash: Option<String>,
        password: String,
    ) -> Result<bool, ServiceError> {
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let real = hash.is_some() && password.len() <= LONGEST_PASSWORD;
            let hash = if real {
                hash.as_deref().unwrap_or(NOBODYS)
            } else {
                NOBODYS
            };
            let password = if real {
                password.as_bytes()
            } else {
                b"nobody's"
            };
            match PasswordHash::new(hash)
                .map_err(Error::from)
                .and_then(|hash| Argon2::default().verify_password(password, &hash))
            {
                Ok(()) => Ok(real),
                Err(Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(failed(error.into())),
            }
        })
        .await
        .map_err(|error| failed(error.into()))?
    }

    /// Returns the hash of a password, with a salt of its own, in PHC form.
    pub(super) async fn hash(&self, password: String) -> Result<String, ServiceError> {
        if password.is_empty() || password.len() > LONGEST_PASSWORD {
            return Err(ServiceError::Invalid {
                field: "password",
                reason: format!("must have 1 to {LONGEST_PASSWORD} bytes"),
            });
        }
        let permit = self.permit().await?;
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let hash: Result<PasswordHash, Error> =
                Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
                .map_err(|error| failed(error.into()))
        })
        .await
        .map_err(|error| failed(error.into()))?
    }
}

fn failed(cause: Box<dyn std::error::Error + Send + Sync>) -> ServiceError {
    ServiceError::Inner("password hashing", cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn verify(hash: Option<&str>, password: &str) -> bool {
        let passwords = Passwords::default();
        let permit = passwords.permit().await.expect("permit");
        let hash = hash.map(str::to_owned);
        passwords
            .verify(permit, hash, password.to_owned())
            .await
            .expect("is checked")
    }

    #[tokio::test]
    async fn a_password_is_right_or_wrong_and_nobody_has_none() {
        let hash = Passwords::default()
            .hash("sesame".to_owned())
            .await
            .expect("hashes");
        assert!(verify(Some(&hash), "sesame").await);
        assert!(!verify(Some(&hash), "Sesame").await);
        assert!(!verify(None, "sesame").await);
        assert!(!verify(None, "nobody's").await);
        assert!(!verify(Some(&hash), &"x".repeat(LONGEST_PASSWORD + 1)).await);
        let again = Passwords::default()
            .hash("sesame".to_owned())
            .await
            .expect("hashes");
        assert_ne!(hash, again, "each has a salt of its own");
    }

    #[tokio::test]
    async fn nobodys_hash_costs_as_much_as_a_real_one() {
        let real = Passwords::default()
            .hash("x".to_owned())
            .await
            .expect("hashes");
        let cost = |hash: &str| hash.split('$').take(4).collect::<Vec<_>>().join("$");
        assert_eq!(cost(NOBODYS), cost(&real));
        assert_eq!(NOBODYS.len(), real.len());
    }

    #[tokio::test]
    async fn what_cannot_be_a_password_is_refused() {
        for (what, password) in [
            ("empty", String::new()),
            ("long", "x".repeat(LONGEST_PASSWORD + 1)),
        ] {
            let error = Passwords::default().hash(password).await.expect_err(what);
            assert!(
                matches!(
                    error,
                    ServiceError::Invalid {
                        field: "password",
                        ..
                    }
                ),
                "{what}: {error}"
            );
        }
    }
}
