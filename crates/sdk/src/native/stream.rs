//! A volume's bytes on their way in or out, one frame in memory at a time.

use bytes::Bytes;
use emberkeep_model::ByteCount;
use emberkeep_wire::native::{
    EXTENTS_CONTENT_TYPE, ExtentDecoder, ExtentEncoder, ExtentItem, ExtentStreamError,
    MAX_FRAME_BYTES, Volume,
};
use futures_util::stream;
use reqwest::{Body, Method, Response};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::NewImport;
use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;

/// Frames on their way to the socket; each is at most a few MiB.
const AHEAD: usize = 4;
const ASKED: &str = "POST /volumes/import";

/// The bytes of a volume that is being made. Dropped unfinished, the volume is thrown away.
#[derive(Debug)]
pub struct VolumeImport {
    encoder: ExtentEncoder,
    /// None once the other side has stopped listening.
    frames: Option<mpsc::Sender<Bytes>>,
    answer: Option<JoinHandle<Result<Volume, SdkError>>>,
}

impl VolumeImport {
    pub(super) fn begin(connection: Connection, new: NewImport) -> Self {
        let (encoder, head) = ExtentEncoder::new(ByteCount(new.size_bytes));
        let (frames, queue) = mpsc::channel(AHEAD);
        let pieces = stream::unfold((Some(head), queue), |(head, mut queue)| async {
            let piece = match head {
                Some(head) => Some(head),
                None => queue.recv().await,
            };
            piece.map(|piece| (Ok::<_, std::convert::Infallible>(piece), (None, queue)))
        });
        let body = Body::wrap_stream(pieces);
        let answer = tokio::spawn(async move {
            let call = Call::new(Method::POST, ["volumes", "import"])
                .query("name", new.name.as_ref())
                .query("description", new.description.as_ref())
                .query("size_bytes", Some(new.size_bytes));
            let response = connection
                .upload(Face::Native, &call, EXTENTS_CONTENT_TYPE, body)
                .await?;
            let url = response.url().to_string();
            response
                .json()
                .await
                .map_err(|cause| SdkError::transport(&url, cause))
        });
        Self {
            encoder,
            frames: Some(frames),
            answer: Some(answer),
        }
    }

    /// Sends bytes of the volume; offsets must ascend. What is left out reads as zeroes.
    pub async fn write(&mut self, mut offset: u64, mut bytes: Bytes) -> Result<(), SdkError> {
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(MAX_FRAME_BYTES));
            let length = part.len() as u64;
            let head = self
                .encoder
                .frame(offset, part.len())
                .map_err(|cause| bad_stream(ASKED, &cause))?;
            if let Some(head) = head {
                self.push(head).await?;
                self.push(part).await?;
            }
            offset += length;
        }
        Ok(())
    }

    /// Ends the stream and returns the volume, once the service has all of it.
    pub async fn finish(mut self) -> Result<Volume, SdkError> {
        let (fresh, _) = ExtentEncoder::new(ByteCount(0));
        let end = std::mem::replace(&mut self.encoder, fresh).end();
        self.push(end).await?;
        self.frames = None;
        self.answer().await
    }

    async fn push(&mut self, piece: Bytes) -> Result<(), SdkError> {
        let sent = match &self.frames {
            Some(frames) => frames.send(piece).await.is_ok(),
            None => false,
        };
        if sent {
            return Ok(());
        }
        self.frames = None;
        // The service has answered before the end: it has refused, and says why.
        match self.answer().await {
            Err(refused) => Err(refused),
            Ok(_) => Err(bad_stream(ASKED, &ExtentStreamError::Trailing)),
        }
    }

    async fn answer(&mut self) -> Result<Volume, SdkError> {
        let gone = || SdkError::BadAnswer {
            asked: ASKED.to_owned(),
            what: "the transfer was cut off".to_owned(),
        };
        match self.answer.take() {
            Some(answer) => answer.await.map_err(|_| gone())?,
            None => Err(gone()),
        }
    }
}

impl Drop for VolumeImport {
    fn drop(&mut self) {
        // A request without its end is refused by the service, which then keeps nothing.
        if let Some(answer) = &self.answer {
            answer.abort();
        }
    }
}

/// The bytes of a volume that is being read.
#[derive(Debug)]
pub struct VolumeExport {
    response: Response,
    decoder: ExtentDecoder,
    size: u64,
}

const READ: &str = "GET /volumes/{id}/data";

impl VolumeExport {
    pub(super) async fn begin(response: Response) -> Result<Self, SdkError> {
        Self::decoded(response, ExtentDecoder::default()).await
    }

    /// Reads a stream whose extents come in any order.
    pub(super) async fn scattered(response: Response) -> Result<Self, SdkError> {
        Self::decoded(response, ExtentDecoder::scattered()).await
    }

    async fn decoded(response: Response, decoder: ExtentDecoder) -> Result<Self, SdkError> {
        let mut export = Self {
            response,
            decoder,
            size: 0,
        };
        match export.item().await? {
            Some(ExtentItem::Size(size)) => export.size = size.0,
            _ => return Err(bad_stream(READ, &ExtentStreamError::Truncated)),
        }
        Ok(export)
    }

    /// Returns the exact size of the volume.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the next bytes and where they belong; none at the end. A stream that was
    /// cut off is an error, never an end.
    pub async fn next(&mut self) -> Result<Option<(u64, Bytes)>, SdkError> {
        match self.item().await? {
            Some(ExtentItem::Data { offset, bytes }) => Ok(Some((offset, bytes))),
            Some(ExtentItem::End) | None => Ok(None),
            Some(ExtentItem::Size(_)) => Err(bad_stream(READ, &ExtentStreamError::Magic)),
        }
    }

    async fn item(&mut self) -> Result<Option<ExtentItem>, SdkError> {
        let bad = |cause: ExtentStreamError| bad_stream(READ, &cause);
        loop {
            if let Some(item) = self.decoder.next_item().map_err(bad)? {
                return Ok(Some(item));
            }
            let url = self.response.url().to_string();
            let piece = self
                .response
                .chunk()
                .await
                .map_err(|cause| SdkError::transport(&url, cause))?;
            match piece {
                Some(piece) => self.decoder.feed(&piece),
                None => return self.decoder.finish().map(|()| None).map_err(bad),
            }
        }
    }
}

fn bad_stream(asked: &str, cause: &ExtentStreamError) -> SdkError {
    SdkError::BadAnswer {
        asked: asked.to_owned(),
        what: cause.to_string(),
    }
}
