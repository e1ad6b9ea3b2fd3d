//! Reads request bodies. What is wrong with one is a value, so that each API words it itself.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

/// The largest body of a JSON request, in bytes. The largest sensible one (a vault with 256 resources) is a tenth of it.
pub const BODY_LIMIT: usize = 1 << 20;

/// How long a body of at most that size may take to come: no wire is so slow, whoever takes longer only
/// wants to keep us waiting.
const BODY_PATIENCE: Duration = Duration::from_secs(20);

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is longer than [`BODY_LIMIT`].
    #[error("the request body is larger than {BODY_LIMIT} bytes")]
    TooLarge,
    /// There is none, but one is needed.
    #[error("the request has no body")]
    Empty,
    /// It is no JSON.
    #[error("the request body is not valid JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// The connection broke while it was read.
    #[error("the request body could not be read")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Reads a whole body of at most [`BODY_LIMIT`] bytes.
pub async fn read_body(body: Body) -> Result<Bytes, BodyError> {
    // Said beforehand, it need not be kept to be refused.
    let said = body.size_hint().lower();
    if said > BODY_LIMIT as u64 {
        return Err(BodyError::TooLarge);
    }
    let whole = Limited::new(body, BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_PATIENCE, whole).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(error)) => Err(BodyError::Broken(error)),
        Err(elapsed) => Err(BodyError::Broken(elapsed.into())),
    }
}

/// Reads a JSON body, whatever its content type says.
pub async fn read_json(body: Body) -> Result<Value, BodyError> {
    let bytes = read_body(body).await?;
    if bytes.is_empty() {
        return Err(BodyError::Empty);
    }
    serde_json::from_slice(&bytes).map_err(BodyError::NotJson)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let begun = tokio::time::Instant::now();
        let error = read_body(Body::from_stream(never))
            .await
            .expect_err("does not come");
        assert!(matches!(error, BodyError::Broken(_)), "{error}");
        assert!(begun.elapsed() >= BODY_PATIENCE && begun.elapsed() < 2 * BODY_PATIENCE);
    }

    #[tokio::test]
    async fn each_fault_of_a_body_is_told_apart() {
        for (what, body, want) in [
            ("empty", Body::empty(), "the request has no body"),
            (
                "no JSON",
                Body::from("{\"a\":"),
                "the request body is not valid JSON: EOF while parsing a value at line 1 column 5",
            ),
            (
                "too large",
                Body::from(vec![b' '; BODY_LIMIT + 1]),
                "the request body is larger than 1048576 bytes",
            ),
            (
                "too deep",
                Body::from("[".repeat(1000)),
                "the request body is not valid JSON: recursion limit exceeded at line 1 column 128",
            ),
        ] {
            let error = read_json(body).await.expect_err(what);
            assert_eq!(error.to_string(), want, "{what}");
        }
        let value = read_json(Body::from("{\"a\":1}")).await.expect("is JSON");
        assert_eq!(value, serde_json::json!({"a": 1}));
    }
}
