//! What the readers of object stores share: a thread for the network, and objects read piece by
//! piece, so that a connection is never held while a reader thinks.

use std::io::{self, Read};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::error::ForeignError;

/// Bytes asked for at once; each open object keeps as many.
const PIECE: u64 = 1 << 20;
/// How long one request may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Names in one listing.
pub(crate) const PAGE: usize = 1000;

/// Runs requests for callers that block.
#[derive(Debug)]
pub(crate) struct Network(Option<Runtime>);

impl Network {
    pub(crate) fn start(name: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Self(Some(runtime)))
    }

    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        let runtime = self.0.as_ref().expect("it is there until the end");
        runtime.block_on(work)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The last owner may be a thread that must not wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Returns one stretch of one object, never short.
pub(crate) type Fetch = Box<dyn Fn(std::ops::Range<u64>) -> Result<Vec<u8>, ForeignError> + Send>;

/// An object being read.
pub(crate) struct Pieces {
    fetch: Fetch,
    size: u64,
    next: u64,
    piece: io::Cursor<Vec<u8>>,
}

impl Pieces {
    pub(crate) fn new(size: u64, fetch: Fetch) -> Self {
        Self {
            fetch,
            size,
            next: 0,
            piece: io::Cursor::default(),
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.piece.read(buf)?;
            if read > 0 || buf.is_empty() || self.next >= self.size {
                return Ok(read);
            }
            let end = self.size.min(self.next + PIECE);
            let piece = (self.fetch)(self.next..end).map_err(io::Error::other)?;
            if piece.len() as u64 != end - self.next {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.next = end;
            self.piece = io::Cursor::new(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_the_whole() {
        let size = 2 * PIECE + 7;
        let whole: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let kept = whole.clone();
        let fetch: Fetch = Box::new(move |range| {
            let place = |at: u64| usize::try_from(at).expect("small");
            Ok(kept[place(range.start)..place(range.end)].to_vec())
        });
        let mut read = Vec::new();
        Pieces::new(size, fetch)
            .read_to_end(&mut read)
            .expect("reads");
        assert!(read == whole);
        let short: Fetch = Box::new(|_| Ok(vec![1]));
        let cut_off = Pieces::new(10, short).read_to_end(&mut Vec::new());
        assert_eq!(
            cut_off.expect_err("is short").kind(),
            io::ErrorKind::UnexpectedEof
        );
        let nothing: Fetch = Box::new(|_| unreachable!("there is nothing to ask for"));
        assert_eq!(
            Pieces::new(0, nothing)
                .read_to_end(&mut Vec::new())
                .expect("reads"),
            0
        );
    }
}
