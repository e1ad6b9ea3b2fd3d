//! Bounds how long a request may take, and lets what changes something come to its end.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

/// How long a client waits at most. Slow work is a task; no request needs more than this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Answers 504 when a request takes more than 30 s.
///
/// A request that changes something runs on when its client hangs up or the time is over: dropped in
/// the middle, it could leave half of its changes behind.
pub async fn guard(request: Request, next: Next) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let answer = next.run(request).in_current_span();
    let answer = async move {
        if safe {
            return Some(answer.await);
        }
        match tokio::spawn(answer).await {
            Ok(response) => Some(response),
            Err(error) => {
                tracing::error!(%error, "a request handler panicked");
                None
            }
        }
    };
    match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        Ok(Some(response)) => response,
        Ok(None) => (StatusCode::INTERNAL_SERVER_ERROR, "an inner part failed").into_response(),
        Err(_) => {
            tracing::warn!("a request took more than {REQUEST_TIMEOUT:?}");
            (StatusCode::GATEWAY_TIMEOUT, "the request took too long").into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::{get, post};
    use tokio::sync::Notify;
    use tower::ServiceExt;

    use super::*;

    fn request(method: Method, path: &str) -> Request {
        Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .expect("is a request")
    }

    async fn never() {
        std::future::pending::<()>().await;
    }

    async fn panics() {
        panic!("on purpose");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered() {
        let router = Router::new()
            .route("/", get(never).post(never))
            .layer(from_fn(guard));
        for method in [Method::GET, Method::POST] {
            let begun = tokio::time::Instant::now();
            let answer = router
                .clone()
                .oneshot(request(method.clone(), "/"))
                .await
                .expect("answers");
            assert_eq!(answer.status(), StatusCode::GATEWAY_TIMEOUT, "{method}");
            // The clock is moved, not waited for; it ticks in milliseconds.
            let elapsed = begun.elapsed();
            assert!(
                elapsed >= REQUEST_TIMEOUT && elapsed < 2 * REQUEST_TIMEOUT,
                "{method}: {elapsed:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_change_comes_to_its_end_though_the_client_is_gone() {
        let (begun, go, ended) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
        );
        let done = Arc::new(AtomicBool::new(false));
        let handler = {
            let (begun, go, ended, done) = (begun.clone(), go.clone(), ended.clone(), done.clone());
            move || async move {
                begun.notify_one();
                go.notified().await;
                done.store(true, Ordering::SeqCst);
                ended.notify_one();
            }
        };
        let router = Router::new()
            .route("/", post(handler))
            .layer(from_fn(guard));
        let client = tokio::spawn(router.oneshot(request(Method::POST, "/")));
        begun.notified().await;
        client.abort();
        assert!(client.await.expect_err("the client is gone").is_cancelled());
        go.notify_one();
        ended.notified().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_that_request_alone() {
        let router = Router::new().route("/", post(panics)).layer(from_fn(guard));
        let answer = router
            .oneshot(request(Method::POST, "/"))
            .await
            .expect("answers");
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
