//! A volume's bytes in and out, as streams of extents; never more than a few MiB in memory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use emberkeep_model::{ByteCount, VolumeId};
use emberkeep_service::{NewVolume, ServiceError, VolumeImport};
use emberkeep_volumes::{ExtentKind, SourceSnapshot, VolumeError};
use emberkeep_wire::native::{
    EXTENTS_CONTENT_TYPE, ExtentDecoder, ExtentEncoder, ExtentItem, ExtentStreamError, Volume,
};
use futures::stream;
use http_body_util::BodyExt;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::edge::{Call, CallFor, CallOn, Refusal, invalid};
use crate::App;

/// A stream that stands still for so long is given up: it holds a volume or a thread.
const STANDSTILL_SECS: u64 = 60;
const STANDSTILL: Duration = Duration::from_secs(STANDSTILL_SECS);

/// What is still read of a refused body, so that the client gets to see why.
const DRAIN_BYTES: usize = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// Bytes read from a volume at a time; also the finest grain at which zeroes are left out.
const READ_BYTES: usize = 1 << 20;
/// Pieces that wait to be sent.
const QUEUE: usize = 4;
/// How much of a volume is asked about at a time.
const WINDOW_BYTES: u64 = 1 << 30;

/// What is to be imported.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    size_bytes: u64,
    name: Option<String>,
    description: Option<String>,
    volume_type: Option<String>,
}

impl Asked {
    fn volume(self) -> Result<NewVolume, ServiceError> {
        for (field, text) in [("name", &self.name), ("description", &self.description)] {
            if text.as_ref().is_some_and(|text| text.chars().count() > 255) {
                return Err(invalid(field, "must be at most 255 characters long"));
            }
        }
        Ok(NewVolume {
            name: self.name.filter(|name| !name.is_empty()),
            description: self.description.filter(|text| !text.is_empty()),
            volume_type: self.volume_type,
            ..NewVolume::default()
        })
    }
}

/// Makes a volume of a stream of extents.
pub(super) async fn import(
    State(app): State<App>,
    CallFor(call, asked): CallFor<Asked>,
    mut body: Body,
) -> Result<(StatusCode, Json<Volume>), Refusal> {
    match receive(&app, &call, asked, &mut body).await {
        Ok(volume) => Ok((StatusCode::CREATED, Json(volume))),
        Err(refusal) => {
            drain(body).await;
            Err(call.refuse(refusal))
        }
    }
}

/// Writes what comes to a new volume. Whatever stops it, the volume is removed again when the
/// import is dropped.
async fn receive(app: &App, call: &Call, asked: Asked, body: &mut Body) -> Result<Volume, Refusal> {
    let said = asked.size_bytes;
    let mut new = Some(asked.volume()?);
    let mut import: Option<VolumeImport> = None;
    let mut decoder = ExtentDecoder::default();
    while let Some(piece) = next_piece(body).await? {
        decoder.feed(&piece);
        while let Some(item) = decoder.next_item()? {
            match (item, &import) {
                (ExtentItem::Size(ByteCount(found)), _) => {
                    if found != said {
                        return Err(Refusal::OtherSize { said, found });
                    }
                    let new = new.take().unwrap_or_default();
                    let begun = app
                        .service
                        .begin_import(&call.caller, new, ByteCount(found));
                    import = Some(begun.await?);
                }
                (ExtentItem::Data { offset, bytes }, Some(import)) => {
                    import.write(offset, bytes).await?;
                }
                (ExtentItem::Data { .. }, None) | (ExtentItem::End, _) => {}
            }
        }
    }
    decoder.finish()?;
    // A stream that ended well began with its size.
    let import = import.ok_or(ExtentStreamError::Truncated)?;
    Ok(Volume::of(&import.finish().await?))
}

async fn next_piece(body: &mut Body) -> Result<Option<Bytes>, Refusal> {
    loop {
        let next = timeout(STANDSTILL, body.frame()).await;
        match next.map_err(|_| Refusal::StoodStill(STANDSTILL_SECS))? {
            None => return Ok(None),
            Some(Err(error)) => return Err(Refusal::Broken(error)),
            // Trailers say nothing.
            Some(Ok(frame)) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }
    }
}

/// Reads on for a while: a connection that is closed with unread bytes is reset, and with it the
/// answer is lost.
async fn drain(mut body: Body) {
    let reading = async {
        let mut left = DRAIN_BYTES;
        while let Ok(Some(piece)) = next_piece(&mut body).await {
            left = left.saturating_sub(piece.len());
            if left == 0 {
                break;
            }
        }
    };
    // Running out of time is as good an end as any.
    let _ = timeout(DRAIN_TIME, reading).await;
}

/// Sends a volume's bytes as a stream of extents. When reading fails half-way the connection is
/// broken, and the end of the stream is missing.
pub(super) async fn export(
    State(app): State<App>,
    CallOn(call, id): CallOn<VolumeId>,
) -> Result<Response, Refusal> {
    let source = app.service.export(&call.caller, id).await;
    let source = source.map_err(|error| call.refuse(error))?;
    let pieces = streamed(move |outbox| match send(&source, &outbox) {
        Ok(()) => {}
        Err(Stopped::Gone) => {
            tracing::debug!(volume_id = %id, "nobody takes the export any more")
        }
        Err(Stopped::Failed(error)) => {
            tracing::error!(volume_id = %id, error = error.as_ref(), "an export failed");
            // Nobody there to tell is fine.
            let _ = outbox.put(Err(io::Error::other(error)));
        }
    });
    let mut response = Body::from_stream(pieces).into_response();
    let kind = HeaderValue::from_static(EXTENTS_CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

/// Streams what `work` puts into its outbox, from a thread that may block.
pub(super) fn streamed(
    work: impl FnOnce(Outbox) + Send + 'static,
) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let handle = Handle::current();
    let worker = tokio::task::spawn_blocking(move || work(Outbox { sender, handle }));
    stream::unfold(
        (receiver, Some(worker)),
        |(mut receiver, mut worker)| async {
            if let Some(piece) = receiver.recv().await {
                return Some((piece, (receiver, worker)));
            }
            // A worker that panicked puts nothing any more: without this its stream would end like a good one.
            let error = worker.take()?.await.err()?;
            tracing::error!(%error, "what a stream is made by panicked");
            let broken = Err(io::Error::other(error));
            Some((broken, (receiver, worker)))
        },
    )
}

/// Why an export stops early.
pub(super) enum Stopped {
    /// The client is gone or takes nothing any more.
    Gone,
    /// What is to be sent cannot be read.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl From<VolumeError> for Stopped {
    fn from(error: VolumeError) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Takes pieces from a thread that blocks.
pub(super) struct Outbox {
    sender: mpsc::Sender<io::Result<Bytes>>,
    handle: Handle,
}

impl Outbox {
    pub(super) fn put(&self, piece: io::Result<Bytes>) -> Result<(), Stopped> {
        // The clock is asked from within: the thread may know of no runtime.
        let sending = async { timeout(STANDSTILL, self.sender.send(piece)).await };
        let sent = self.handle.block_on(sending);
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Stopped::Gone),
        }
    }
}

fn send(source: &Arc<dyn SourceSnapshot>, outbox: &Outbox) -> Result<(), Stopped> {
    let total = source.size();
    let (mut encoder, head) = ExtentEncoder::new(total);
    outbox.put(Ok(head))?;
    let mut window = 0;
    while window < total.0 {
        let end = total.0.min(window + WINDOW_BYTES);
        let (_, extents) = source.extents(window..end, None)?;
        for extent in extents {
            match extent.kind {
                ExtentKind::Zero => {}
                ExtentKind::Data | ExtentKind::Unchanged => {
                    send_range(source, outbox, &mut encoder, extent.offset, extent.length)?;
                }
            }
        }
        window = end;
    }
    outbox.put(Ok(encoder.end()))
}

fn send_range(
    source: &Arc<dyn SourceSnapshot>,
    outbox: &Outbox,
    encoder: &mut ExtentEncoder,
    offset: u64,
    length: u64,
) -> Result<(), Stopped> {
    let mut done = 0;
    while done < length {
        let size = usize::try_from(length - done)
            .unwrap_or(READ_BYTES)
            .min(READ_BYTES);
        let mut piece = vec![0; size];
        let at = offset + done;
        source.read_at(at, &mut piece)?;
        done += size as u64;
        if is_zero(&piece) {
            continue;
        }
        let head = encoder
            .frame(at, size)
            .map_err(|error| VolumeError::OutOfRange {
                what: "an extent of the volume".to_owned(),
                reason: error.to_string(),
            })?;
        if let Some(head) = head {
            outbox.put(Ok(head))?;
            outbox.put(Ok(piece.into()))?;
        }
    }
    Ok(())
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROES: [u8; 4096] = [0; 4096];
    bytes
        .chunks(ZEROES.len())
        .all(|chunk| chunk == &ZEROES[..chunk.len()])
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_breaks_the_stream_off_and_a_good_end_does_not() {
        let good: Vec<_> = streamed(|outbox| {
            let _ = outbox.put(Ok(Bytes::from_static(b"all")));
        })
        .collect()
        .await;
        assert!(
            matches!(&good[..], [Ok(piece)] if piece == "all"),
            "{good:?}"
        );
        let bad: Vec<_> = streamed(|outbox| {
            let _ = outbox.put(Ok(Bytes::from_static(b"half")));
            panic!("on purpose");
        })
        .collect()
        .await;
        assert!(
            matches!(&bad[..], [Ok(piece), Err(_)] if piece == "half"),
            "{bad:?}"
        );
    }
}
