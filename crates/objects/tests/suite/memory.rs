//! Backups in memory do what every database of backups must.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use emberkeep_objects::{MemoryBackups, conformance};

#[test]
fn memory_conforms() {
    let suite = pin!(conformance::run(async || MemoryBackups::default()));
    let done = suite.poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(done, Poll::Ready(())), "memory never waits");
}
