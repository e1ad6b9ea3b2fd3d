//! The memory that restores expand chunks in: bounded for the whole process.

use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};

/// Bytes of a window that are restored at once: read in few ranges, written in few runs.
pub(super) const SLICE: u32 = 8 << 20;
/// Rooms in use at once, whatever the number of restores: with what was read for them, below
/// 300 MiB.
const MOST: usize = 24;
/// Where rooms start in memory, so that what lies in them can be written past a page cache.
const ALIGNMENT: usize = 4096;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    given_back: Condvar,
}

#[derive(Default)]
struct State {
    restores: usize,
    lent: usize,
    idle: Vec<Memory>,
}

#[derive(Default)]
struct Memory {
    plain: Vec<u8>,
    sealed: Vec<u8>,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One running restore; the last one takes the memory with it.
pub(super) struct Tenant(());

impl Tenant {
    pub(super) fn new() -> Self {
        POOL.lock().restores += 1;
        Self(())
    }

    /// Waits for a room. Who has one gives it back without waiting for another.
    #[expect(clippy::unused_self, reason = "only a tenant may ask")]
    pub(super) fn room(&self) -> Room {
        let mut state = POOL.lock();
        while state.lent >= MOST {
            let waited = POOL.given_back.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        let memory = state.idle.pop().unwrap_or_default();
        Room { memory }
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        let mut state = POOL.lock();
        state.restores -= 1;
        if state.restores == 0 {
            state.idle = Vec::new();
        }
    }
}

/// Memory for one slice of a window, and for what is read from the store for it.
pub(super) struct Room {
    memory: Memory,
}

impl Room {
    /// Returns `len` bytes for what is expanded, holding anything, and the buffer for what is read.
    pub(super) fn parts(&mut self, len: usize) -> (&mut [u8], &mut Vec<u8>) {
        let plain = &mut self.memory.plain;
        let want = len.max(SLICE as usize) + ALIGNMENT;
        if plain.len() < want {
            // Nothing in it is needed: no use in copying it.
            *plain = vec![0; want];
        }
        let start = plain.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        (&mut plain[start..start + len], &mut self.memory.sealed)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut state = POOL.lock();
        state.lent -= 1;
        if state.restores > 0 {
            state.idle.push(std::mem::take(&mut self.memory));
        }
        drop(state);
        POOL.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_are_aligned_used_again_and_not_more_than_said() {
        let tenant = Tenant::new();
        let mut rooms: Vec<Room> = (0..MOST).map(|_| tenant.room()).collect();
        let (plain, _) = rooms[0].parts(10_000);
        assert_eq!(plain.len(), 10_000);
        assert_eq!(plain.as_ptr().align_offset(ALIGNMENT), 0);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| tenant.room());
            while !waiting.is_finished() {
                // Whoever waits gets the room that is given back.
                drop(rooms.pop());
            }
        });
        drop(rooms);
        assert_eq!(POOL.lock().lent, 0);
        drop(tenant);
        assert!(POOL.lock().restores > 0 || POOL.lock().idle.is_empty());
    }
}
