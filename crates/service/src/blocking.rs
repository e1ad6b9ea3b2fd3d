//! Blocking calls of volumes and engine, run off the executor.

use emberkeep_engine::{CheckError, RepositoryError, RestoreError};
use emberkeep_volumes::VolumeError;

use crate::{Service, ServiceError};

impl Service {
    /// Runs a blocking call on a thread of its own. `what` says what failed, if it does.
    pub(crate) async fn blocking<T, E, F>(
        &self,
        what: &'static str,
        call: F,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        E: Into<Inner> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        match tokio::task::spawn_blocking(call).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(error.into().named(what)),
            Err(panicked) => Err(ServiceError::Inner(what, Box::new(panicked))),
        }
    }
}

/// A failure of one of the blocking parts, on its way to a [`ServiceError`].
pub(crate) struct Inner {
    no_space: bool,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl Inner {
    pub(crate) fn of(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self {
            no_space: false,
            cause: Box::new(cause),
        }
    }

    fn named(self, what: &'static str) -> ServiceError {
        if self.no_space {
            ServiceError::NoSpace
        } else {
            ServiceError::Inner(what, self.cause)
        }
    }
}

impl From<VolumeError> for Inner {
    fn from(error: VolumeError) -> Self {
        Self {
            no_space: matches!(error, VolumeError::NoSpace { .. }),
            cause: Box::new(error),
        }
    }
}

impl From<RepositoryError> for Inner {
    fn from(error: RepositoryError) -> Self {
        Self {
            no_space: false,
            cause: Box::new(error),
        }
    }
}

impl From<RestoreError> for Inner {
    fn from(error: RestoreError) -> Self {
        Self::of(error)
    }
}

impl From<CheckError> for Inner {
    fn from(error: CheckError) -> Self {
        Self::of(error)
    }
}
