//! Compare-and-set: an operation that lost a race reads again.

use std::future::Future;

use crate::ServiceError;

/// How often an operation that lost a race reads again before it gives up.
const RACE_LIMIT: usize = 16;

/// Runs `step` again while it loses races against others ([`ServiceError::Busy`]).
/// Every round reads afresh, so a decision is never based on what has changed since.
pub(crate) async fn racing<T, F, Fut>(mut step: F) -> Result<T, ServiceError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ServiceError>>,
{
    for _ in 1..RACE_LIMIT {
        match step().await {
            Err(ServiceError::Busy) => tokio::task::yield_now().await,
            settled => return settled,
        }
    }
    step().await
}
