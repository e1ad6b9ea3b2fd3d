//! Backups that come from elsewhere, and their bytes on the way out.

use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_service::OpenBackup;
use emberkeep_volumes::{RestoreTarget, TargetState, VolumeError};
use emberkeep_wire::native::{
    AdoptBegun, Backup, BackupOrigin, EXTENTS_CONTENT_TYPE, ExtentEncoder, MAX_FRAME_BYTES,
};

use super::data::{Outbox, Stopped, streamed};
use super::edge::{CallOn, Refusal};
use crate::App;

/// Makes a chain that Cinder wrote our own.
pub(super) async fn adopt(
    State(app): State<App>,
    CallOn(call, id): CallOn<BackupId>,
) -> Result<(StatusCode, Json<AdoptBegun>), Refusal> {
    let begun = app.service.adopt_backup(&call.caller, id).await;
    let task_ids = begun.map_err(|error| call.refuse(error))?;
    Ok((StatusCode::ACCEPTED, Json(AdoptBegun { task_ids })))
}

/// Shows one backup with what it cost, and what of it is damaged.
pub(super) async fn show(
    State(app): State<App>,
    CallOn(call, id): CallOn<BackupId>,
) -> Result<Json<Backup>, Refusal> {
    let backup = app.service.backup(&call.caller, id).await;
    let backup = backup.map_err(|error| call.refuse(error))?;
    Ok(Json(Backup::of(&backup)))
}

/// Says what another service has to know to take the backup up.
pub(super) async fn origin(
    State(app): State<App>,
    CallOn(call, id): CallOn<BackupId>,
) -> Result<Json<BackupOrigin>, Refusal> {
    let backup = app.service.backup(&call.caller, id).await;
    let backup = backup.map_err(|error| call.refuse(error))?;
    Ok(Json(BackupOrigin::of(&backup)))
}

/// Sends a backup's bytes as a stream of extents, in the order in which they are read fastest.
/// When reading fails half-way the connection is broken, and the end of the stream is missing.
pub(super) async fn data(
    State(app): State<App>,
    CallOn(call, id): CallOn<BackupId>,
) -> Result<Response, Refusal> {
    let reader = app.service.read_backup(&call.caller, id).await;
    let reader = reader.map_err(|error| call.refuse(error))?;
    let pieces = streamed(move |outbox| match send(&reader, &outbox) {
        Ok(()) => {}
        Err(Stopped::Gone) => {
            tracing::debug!(backup_id = %id, "nobody takes the backup any more")
        }
        Err(Stopped::Failed(error)) => {
            tracing::error!(backup_id = %id, error = error.as_ref(), "a backup could not be sent");
            // Nobody there to tell is fine.
            let _ = outbox.put(Err(io::Error::other(error)));
        }
    });
    let mut response = Body::from_stream(pieces).into_response();
    let kind = HeaderValue::from_static(EXTENTS_CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    Ok(response)
}

fn send(reader: &OpenBackup, outbox: &Outbox) -> Result<(), Stopped> {
    let (encoder, head) = ExtentEncoder::scattered(reader.size());
    outbox.put(Ok(head))?;
    let sender = Sender {
        outbox,
        size: reader.size(),
        at: Mutex::new(Progress {
            encoder,
            gone: false,
        }),
    };
    let read = reader.write_to(&sender, &emberkeep_service::Run::new());
    let state = sender
        .at
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    match read {
        _ if state.gone => Err(Stopped::Gone),
        Ok(()) => outbox.put(Ok(state.encoder.end())),
        Err(error) => Err(Stopped::Failed(Box::new(error))),
    }
}

/// Takes a restore's writes, and sends them.
struct Sender<'a> {
    outbox: &'a Outbox,
    size: ByteCount,
    at: Mutex<Progress>,
}

struct Progress {
    encoder: ExtentEncoder,
    gone: bool,
}

impl Sender<'_> {
    fn failed(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> VolumeError {
        VolumeError::io("sending the backup", io::Error::other(cause))
    }

    /// Sends one frame, of at most `MAX_FRAME_BYTES`.
    fn send(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        let mut state = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        let head = state
            .encoder
            .frame(offset, buf.len())
            .map_err(Self::failed)?;
        let Some(head) = head else {
            return Ok(());
        };
        let mut frame = BytesMut::with_capacity(head.len() + buf.len());
        frame.extend_from_slice(&head);
        frame.extend_from_slice(buf);
        // Frames must not mix: the others wait until this one is on its way.
        self.outbox.put(Ok(frame.freeze())).map_err(|_| {
            state.gone = true;
            Self::failed("nobody takes it any more")
        })
    }
}

impl RestoreTarget for Sender<'_> {
    fn size(&self) -> ByteCount {
        self.size
    }

    fn state(&self) -> TargetState {
        // What is not sent reads as zeroes at the other end.
        TargetState::Zeroed
    }

    fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), VolumeError> {
        Err(Self::failed("what was sent cannot be read"))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<(), VolumeError> {
        // A restore writes runs as long as it likes; a frame has a limit.
        let starts = (offset..).step_by(MAX_FRAME_BYTES);
        starts
            .zip(buf.chunks(MAX_FRAME_BYTES))
            .try_for_each(|(at, piece)| self.send(at, piece))
    }

    fn zero(&self, _range: Range<u64>) -> Result<(), VolumeError> {
        Ok(())
    }

    fn finish(&self) -> Result<(), VolumeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_wire::native::{ExtentDecoder, ExtentItem};
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn a_write_of_any_length_is_sent_whole() {
        for length in [
            1,
            MAX_FRAME_BYTES,
            MAX_FRAME_BYTES + 1,
            3 * MAX_FRAME_BYTES - 7,
        ] {
            let size = ByteCount((5 * MAX_FRAME_BYTES) as u64);
            let wanted: Vec<u8> = (0..length)
                .map(|at| u8::try_from(at % 251).expect("small"))
                .collect();
            let sent = wanted.clone();
            let pieces: Vec<_> = streamed(move |outbox| {
                let (encoder, head) = ExtentEncoder::scattered(size);
                let _ = outbox.put(Ok(head));
                let sender = Sender {
                    outbox: &outbox,
                    size,
                    at: Mutex::new(Progress {
                        encoder,
                        gone: false,
                    }),
                };
                sender.write_at(4096, &sent).expect("sent");
                let state = sender.at.into_inner().expect("no panic");
                let _ = outbox.put(Ok(state.encoder.end()));
            })
            .collect()
            .await;
            let mut decoder = ExtentDecoder::scattered();
            let mut found = Vec::new();
            for piece in pieces {
                decoder.feed(&piece.expect("unbroken"));
                while let Some(item) = decoder.next_item().expect("well formed") {
                    if let ExtentItem::Data { offset, bytes } = item {
                        assert_eq!(offset, 4096 + found.len() as u64, "{length}");
                        found.extend_from_slice(&bytes);
                    }
                }
            }
            decoder.finish().expect("complete");
            assert!(found == wanted, "{length}: {} bytes came", found.len());
        }
    }
}
