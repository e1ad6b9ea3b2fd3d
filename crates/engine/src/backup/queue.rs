//! The queue from workers to the packer: in volume order, bounded in bytes.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use emberkeep_format::{ChunkId, Encoding};

/// Bytes that may wait for the packer. With two packs of 32 MiB and what workers hold,
/// a run stays below 128 MiB.
const BUDGET: usize = 12 << 20;
/// Bytes that the window whose turn it is may have waiting, whatever the others hold:
/// the packer is taking from it, so waiting for room here always ends.
const HEAD_START: usize = 4 << 20;
/// Bytes that a batch is filled to.
const BATCH: usize = 1 << 20;

/// Encoded chunks on their way to the packer.
pub(crate) struct Batch {
    /// Always of the same length; filled up to `used`.
    bytes: Vec<u8>,
    used: usize,
    chunks: Vec<Placed>,
    /// The file of the spool that it is in too.
    pub(crate) spooled: Option<u64>,
}

struct Placed {
    id: ChunkId,
    start: usize,
    len: usize,
    plain_len: u32,
    encoding: Encoding,
}

/// One encoded chunk of a batch.
pub(crate) struct Encoded<'b> {
    pub(crate) id: ChunkId,
    pub(crate) plain_len: u32,
    pub(crate) encoding: Encoding,
    pub(crate) encoded: &'b [u8],
}

impl Batch {
    fn new() -> Self {
        Self {
            bytes: vec![0; BATCH],
            used: 0,
            chunks: Vec::new(),
            spooled: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Tells whether so many more bytes fit; an empty batch grows to hold any chunk.
    pub(crate) fn has_room(&mut self, len: usize) -> bool {
        if self.is_empty() && self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        self.bytes.len() - self.used >= len
    }

    /// Adds a chunk that `encode` writes to the front of the free room.
    pub(crate) fn push(
        &mut self,
        id: ChunkId,
        plain_len: u32,
        encode: impl FnOnce(&mut [u8]) -> (usize, Encoding),
    ) {
        let start = self.used;
        let (len, encoding) = encode(&mut self.bytes[start..]);
        self.used += len;
        self.chunks.push(Placed {
            id,
            start,
            len,
            plain_len,
            encoding,
        });
    }

    pub(crate) fn chunks(&self) -> impl Iterator<Item = Encoded<'_>> {
        self.chunks.iter().map(|chunk| Encoded {
            id: chunk.id,
            plain_len: chunk.plain_len,
            encoding: chunk.encoding,
            encoded: &self.bytes[chunk.start..chunk.start + chunk.len],
        })
    }
}

/// What workers tell the packer.
pub(crate) enum Message {
    /// New chunks of the volume.
    Chunks(Batch),
    /// A window that is done; its turn is over.
    Page {
        window: u64,
        /// None when it is all zero.
        page: Option<MadePage>,
        /// The file of the spool that says so.
        spooled: Option<u64>,
    },
    /// Windows that are as they were; the turn is over.
    Kept(Range<u64>),
    /// Windows that are zero now; the turn is over.
    Cleared(Range<u64>),
}

/// The page of a window.
pub(crate) struct MadePage {
    pub(crate) id: ChunkId,
    pub(crate) bytes: Vec<u8>,
    /// Whether it has to be stored.
    pub(crate) new: bool,
}

impl Message {
    /// Returns the memory that it takes.
    fn bytes(&self) -> usize {
        match self {
            Self::Chunks(batch) => batch.bytes.len(),
            Self::Page { page, .. } => page.as_ref().map_or(0, |page| page.bytes.len()),
            Self::Kept(_) | Self::Cleared(_) => 0,
        }
    }

    fn ends_turn(&self) -> bool {
        !matches!(self, Self::Chunks(_))
    }
}

#[derive(Default)]
struct Slot {
    messages: VecDeque<Message>,
    waiting: usize,
    done: bool,
}

#[derive(Default)]
struct State {
    /// The turn that the packer takes from.
    head: u64,
    /// Turns from `head` on.
    slots: VecDeque<Slot>,
    /// Bytes that wait.
    waiting: usize,
    /// Turns there are in all, once that is known.
    turns: Option<u64>,
    stopped: bool,
    /// Emptied batches to fill again.
    pool: Vec<Batch>,
}

/// The queue; see the module's head.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    packer: Condvar,
    workers: Condvar,
}

/// The run is over for a worker: somebody else failed.
pub(crate) struct Stopped;

impl Queue {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns an empty batch.
    pub(crate) fn batch(&self) -> Batch {
        self.lock().pool.pop().unwrap_or_else(Batch::new)
    }

    /// Takes an emptied batch back.
    pub(crate) fn give_back(&self, mut batch: Batch) {
        batch.used = 0;
        batch.chunks.clear();
        batch.spooled = None;
        self.lock().pool.push(batch);
    }

    /// Adds a message to a turn; waits while too much is waiting.
    pub(crate) fn put(&self, turn: u64, message: Message) -> Result<(), Stopped> {
        let bytes = message.bytes();
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Err(Stopped);
            }
            let has_room = if turn == state.head {
                state
                    .slots
                    .front()
                    .is_none_or(|slot| slot.waiting < HEAD_START)
            } else {
                state.waiting + bytes <= BUDGET
            };
            if has_room {
                break;
            }
            state = self
                .workers
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting += bytes;
        let is_head = turn == state.head;
        let slot = state.slot(turn);
        slot.waiting += bytes;
        slot.done |= message.ends_turn();
        slot.messages.push_back(message);
        drop(state);
        if is_head {
            self.packer.notify_one();
        }
        Ok(())
    }

    /// Tells how many turns there are.
    pub(crate) fn set_turns(&self, turns: u64) {
        self.lock().turns = Some(turns);
        self.packer.notify_one();
    }

    /// Returns the next message in order; none at the end or when the run was stopped.
    pub(crate) fn take(&self) -> Option<Message> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.turns == Some(state.head) {
                return None;
            }
            if let Some(slot) = state.slots.front_mut() {
                if let Some(message) = slot.messages.pop_front() {
                    let bytes = message.bytes();
                    slot.waiting -= bytes;
                    state.waiting -= bytes;
                    self.workers.notify_all();
                    return Some(message);
                }
                if slot.done {
                    state.slots.pop_front();
                    state.head += 1;
                    self.workers.notify_all();
                    continue;
                }
            }
            state = self
                .packer
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Stops everybody.
    pub(crate) fn stop(&self) {
        self.lock().stopped = true;
        self.packer.notify_all();
        self.workers.notify_all();
    }

    /// Tells whether the run was stopped before its end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Returns a guard that stops everybody if its thread panics.
    pub(crate) fn bell(&self) -> Bell<'_> {
        Bell(self)
    }
}

/// Rings when a thread dies.
pub(crate) struct Bell<'a>(&'a Queue);

impl Drop for Bell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl State {
    fn slot(&mut self, turn: u64) -> &mut Slot {
        // Turns are taken in order, so there are no more slots than workers and a few.
        let at = usize::try_from(turn - self.head).expect("few turns are open at a time");
        while self.slots.len() <= at {
            self.slots.push_back(Slot::default());
        }
        &mut self.slots[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(window: u64) -> Message {
        Message::Page {
            window,
            page: None,
            spooled: None,
        }
    }

    #[test]
    fn messages_come_in_order_of_their_turns() {
        let queue = Queue::new();
        assert!(queue.put(1, page(11)).is_ok());
        assert!(queue.put(2, Message::Kept(12..13)).is_ok());
        assert!(queue.put(0, Message::Chunks(queue.batch())).is_ok());
        assert!(queue.put(3, page(13)).is_ok());
        assert!(queue.put(0, page(10)).is_ok());
        queue.set_turns(4);
        assert!(matches!(queue.take(), Some(Message::Chunks(_))));
        for want in [10, 11, 12, 13] {
            let found = match queue.take() {
                Some(Message::Page { window, .. }) => window,
                Some(Message::Kept(windows)) => windows.start,
                _ => 0,
            };
            assert_eq!(found, want);
        }
        assert!(queue.take().is_none());
    }

    #[test]
    fn later_turns_wait_for_room_but_the_head_gets_through() {
        let queue = Queue::new();
        let full = std::thread::scope(|scope| {
            let later = scope.spawn(|| {
                let mut sent = 0;
                while queue.put(1, Message::Chunks(Batch::new())).is_ok() {
                    sent += 1;
                }
                sent
            });
            // The head's messages pass however full the queue is.
            for _ in 0..100 {
                assert!(queue.put(0, Message::Chunks(Batch::new())).is_ok());
                assert!(matches!(queue.take(), Some(Message::Chunks(_))));
            }
            while queue.lock().waiting + BATCH <= BUDGET {
                std::thread::yield_now();
            }
            queue.stop();
            later.join().unwrap()
        });
        assert_eq!(full, BUDGET / BATCH);
    }
}
