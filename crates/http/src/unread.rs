//! What a request's body still holds when the answer is there.
//!
//! Who is still sending when the connection closes sees a broken pipe and not our answer. So a body that
//! nobody read to its end, because the request was refused before, is read and thrown away.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::EXPECT;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

/// The most that is thrown away, in bytes.
const DISCARDED: usize = 16 << 20;

/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// A body that can be read on after whoever was to read it has let go of it.
#[derive(Clone)]
pub(crate) struct Unread(Arc<Mutex<Body>>);

impl Unread {
    /// Takes a hold of a request's body, if it has one that is sent unasked.
    pub(crate) fn of(request: &mut Request) -> Option<Self> {
        let asks_first = request.headers().contains_key(EXPECT);
        if asks_first || request.body().is_end_stream() {
            return None;
        }
        let body = std::mem::take(request.body_mut());
        let unread = Self(Arc::new(Mutex::new(body)));
        *request.body_mut() = Body::new(unread.clone());
        Some(unread)
    }

    /// Throws away what is left, unless it is too much or does not come.
    pub(crate) async fn discard(mut self) {
        let mut left = DISCARDED;
        let reading = async {
            while let Some(Ok(frame)) = self.frame().await {
                left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
                if left == 0 {
                    break;
                }
            }
        };
        // Running out of time is as good an end as any.
        let _ = tokio::time::timeout(PATIENCE, reading).await;
    }

    fn lock(&self) -> MutexGuard<'_, Body> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};

    use super::*;

    fn request(body: Body) -> Request {
        Request::new(body)
    }

    #[tokio::test]
    async fn what_nobody_read_is_thrown_away_and_what_was_read_came_whole() {
        let mut one = request(Body::from(vec![7; 100]));
        let rest = Unread::of(&mut one).expect("a body");
        let read = one.into_body().collect().await.expect("read").to_bytes();
        assert_eq!(read.len(), 100);
        assert!(rest.is_end_stream());

        let pieces =
            stream::iter((0..5).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))));
        let mut two = request(Body::from_stream(pieces));
        let rest = Unread::of(&mut two).expect("a body");
        drop(two);
        let mut held = rest.clone();
        rest.discard().await;
        assert!(held.frame().await.is_none(), "something is left");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_come_or_does_not_end_is_given_up() {
        let begun = tokio::time::Instant::now();
        let never = stream::pending::<Result<Bytes, std::io::Error>>();
        let mut late = request(Body::from_stream(never));
        Unread::of(&mut late).expect("a body").discard().await;
        assert!(begun.elapsed() >= PATIENCE && begun.elapsed() < 2 * PATIENCE);

        let endless =
            stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0; 1 << 20])));
        let mut large = request(Body::from_stream(endless.boxed()));
        Unread::of(&mut large).expect("a body").discard().await;
    }

    #[test]
    fn nothing_and_what_waits_to_be_asked_for_is_left_alone() {
        assert!(Unread::of(&mut request(Body::empty())).is_none());
        let mut asks = request(Body::from("text"));
        let word = axum::http::HeaderValue::from_static("100-continue");
        asks.headers_mut().insert(EXPECT, word);
        assert!(Unread::of(&mut asks).is_none());
    }
}
