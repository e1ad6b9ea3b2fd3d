//! Bounds how long a request may take, and lets what changes something come to its end.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use emberkeep_wire::cbr::{Code, ErrorBody as CbrError};
use emberkeep_wire::identity::{Fault as IdentityFault, FaultBody};
use emberkeep_wire::native::{ErrorBody, ErrorDetail};
use futures::FutureExt;
use serde_json::json;
use tracing::Instrument;

use crate::RequestId;

/// How long a client waits at most. Slow work is a task; no request needs more than this.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Whose words a refusal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Keystone's.
    Identity,
    /// Cinder's.
    Cinder,
    /// CBR's.
    Cbr,
    /// Our own.
    Native,
}

/// Why there is no answer of the request's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// It took too long.
    TooLong,
    /// Its handler panicked.
    Failed,
}

impl Cut {
    fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::GATEWAY_TIMEOUT,
            Self::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::TooLong => "The request took too long.",
            Self::Failed => "An inner part failed; the request's id names the entry in the log.",
        }
    }
}

impl Form {
    /// Words a refusal.
    pub(crate) fn refuse(self, cut: Cut, request_id: &str) -> Response {
        let (status, message) = (cut.status(), cut.message());
        let body = match self {
            Self::Identity => json!(FaultBody {
                error: IdentityFault {
                    code: status.as_u16(),
                    message: message.to_owned(),
                    title: status.canonical_reason().unwrap_or_default().to_owned(),
                },
            }),
            Self::Cinder => {
                json!({"computeFault": {"code": status.as_u16(), "message": message}})
            }
            Self::Cbr => json!(CbrError {
                error_code: Code::Internal.answer().1.into(),
                error_msg: message.into(),
            }),
            Self::Native => json!(ErrorBody {
                error: ErrorDetail {
                    code: match cut {
                        Cut::TooLong => "timeout",
                        Cut::Failed => "internal",
                    }
                    .into(),
                    message: message.into(),
                    request_id: request_id.into(),
                },
            }),
        };
        (status, Json(body)).into_response()
    }
}

/// Answers 504 when a request takes more than 30 s, and 500 when its handler panics.
///
/// A request that changes something runs on when its client hangs up or the time is over: dropped in
/// the middle, it could leave half of its changes behind. What only reads ends with its client.
pub async fn guard(State(form): State<Form>, request: Request, next: Next) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let changes = changes(request.method());
    let cut = match bounded(changes, next.run(request)).await {
        Ok(response) => return response,
        Err(cut) => cut,
    };
    form.refuse(cut, request_id.as_ref().map_or("", |id| id.0.as_str()))
}

/// Answers 500 when a handler panics whose request takes as long as it takes.
pub(crate) async fn guard_stream(
    State(form): State<Form>,
    request: Request,
    next: Next,
) -> Response {
    let request_id = request.extensions().get::<RequestId>().cloned();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    answer.unwrap_or_else(|panic| {
        let request_id = request_id.as_ref().map_or("", |id| id.0.as_str());
        form.refuse(panicked(panic.as_ref()), request_id)
    })
}

/// Notes what a handler said when it panicked.
fn panicked(panic: &(dyn Any + Send)) -> Cut {
    let said = panic.downcast_ref::<&str>().copied();
    let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = said.unwrap_or_default(),
        "a request handler panicked"
    );
    Cut::Failed
}

/// Tells whether requests of this method may change something.
pub(crate) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Waits for an answer as [`guard`] does.
pub(crate) async fn bounded(
    changes: bool,
    answer: impl Future<Output = Response> + Send + 'static,
) -> Result<Response, Cut> {
    // A panic is the request's own. What is behind our locks is whole after every statement.
    let answer = AssertUnwindSafe(answer).catch_unwind();
    let ended = if changes {
        // A task of its own: it outlives the client.
        let answer = tokio::spawn(answer.in_current_span());
        match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
            Ok(Ok(ended)) => Ok(ended),
            // The runtime is being shut down.
            Ok(Err(_)) => return Err(Cut::Failed),
            Err(elapsed) => Err(elapsed),
        }
    } else {
        tokio::time::timeout(REQUEST_TIMEOUT, answer).await
    };
    match ended {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(panic)) => Err(panicked(panic.as_ref())),
        Err(_) => {
            tracing::warn!("a request took more than {REQUEST_TIMEOUT:?}");
            Err(Cut::TooLong)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn_with_state;
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
            .layer(from_fn_with_state(Form::Cinder, guard));
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
            .layer(from_fn_with_state(Form::Cinder, guard));
        let client = tokio::spawn(router.oneshot(request(Method::POST, "/")));
        begun.notified().await;
        client.abort();
        assert!(client.await.expect_err("the client is gone").is_cancelled());
        go.notify_one();
        ended.notified().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_not_timed_and_its_panic_is_answered() {
        let slow = || async {
            tokio::time::sleep(3 * REQUEST_TIMEOUT).await;
            "at last"
        };
        let router = Router::new()
            .route("/", get(slow).post(panics))
            .layer(from_fn_with_state(Form::Native, guard_stream));
        for (method, want) in [
            (Method::POST, StatusCode::INTERNAL_SERVER_ERROR),
            (Method::GET, StatusCode::OK),
        ] {
            let answer = router.clone().oneshot(request(method, "/")).await;
            assert_eq!(answer.expect("answers").status(), want);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_of_that_request_alone_in_the_words_of_its_api() {
        for (form, want) in [
            (Form::Identity, "/error/code"),
            (Form::Cinder, "/computeFault/code"),
            (Form::Cbr, "/error_code"),
            (Form::Native, "/error/code"),
        ] {
            for method in [Method::GET, Method::POST] {
                let router = Router::new()
                    .route("/", get(panics).post(panics))
                    .layer(from_fn_with_state(form, guard));
                let answer = router.oneshot(request(method, "/")).await.expect("answers");
                assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
                let body = axum::body::to_bytes(answer.into_body(), 4096).await;
                let body: serde_json::Value =
                    serde_json::from_slice(&body.expect("is read")).expect("is JSON");
                let code = body.pointer(want).expect("is in its form");
                let said = match form {
                    Form::Identity | Form::Cinder => json!(500),
                    Form::Cbr => json!("BackupService.9910"),
                    Form::Native => json!("internal"),
                };
                assert_eq!(*code, said, "{form:?}: {body}");
            }
        }
    }
}
