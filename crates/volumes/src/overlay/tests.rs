#![expect(
    clippy::cast_possible_truncation,
    reason = "test volumes are small, and lists of one range are meant"
)]

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::{ChangeSet, FileSource};

/// A base with data and zeroes, on and off block borders.
struct Base(Vec<u8>);

const SIZE: usize = (5 << 20) + 777;

fn base_bytes() -> Vec<u8> {
    let fill = |i: usize| {
        if i % 600_000 < 130_000 {
            (i % 251) as u8 + 1
        } else {
            0
        }
    };
    (0..SIZE).map(fill).collect()
}

impl SourceSnapshot for Base {
    fn size(&self) -> ByteCount {
        ByteCount(self.0.len() as u64)
    }

    fn extents(
        &self,
        range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        let mut extents: Vec<Extent> = Vec::new();
        for at in range {
            let zero = self.0[small(at)] == 0;
            let kind = if zero {
                ExtentKind::Zero
            } else {
                ExtentKind::Data
            };
            match extents.last_mut() {
                Some(last) if last.kind == kind => last.length += 1,
                _ => extents.push(Extent {
                    offset: at,
                    length: 1,
                    kind,
                }),
            }
        }
        let reason = String::new();
        Ok((ChangeSet::FullScan { reason }, extents))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        let at = small(offset);
        buf.copy_from_slice(&self.0[at..at + buf.len()]);
        Ok(())
    }
}

fn open(path: &Path) -> Overlay {
    Overlay::open(path, Arc::new(Base(base_bytes())), "base").unwrap()
}

fn all(overlay: &Overlay) -> Vec<u8> {
    let mut bytes = vec![0xAA; SIZE];
    overlay.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn writes_are_kept_and_the_rest_is_the_base() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("overlay");
    let overlay = open(&path);
    let mut want = base_bytes();
    assert!(all(&overlay) == want);
    for (at, length) in [(0, 1), (65_535, 2), (200_000, 300_000), (SIZE - 3, 3)] {
        overlay.write_at(at as u64, &vec![7; length]).unwrap();
        want[at..at + length].fill(7);
        assert!(all(&overlay) == want, "{length} at {at}");
    }
    for range in [10..20, 1_000_000..2_000_001, SIZE - 100_000..SIZE] {
        overlay.zero(range.start as u64..range.end as u64).unwrap();
        want[range].fill(0);
        assert!(all(&overlay) == want);
    }
    let extents = overlay.extents(0..SIZE as u64).unwrap();
    assert_eq!(extents.iter().map(|e| e.length).sum::<u64>(), SIZE as u64);
    for extent in extents.iter().filter(|e| e.kind == ExtentKind::Zero) {
        let range = small(extent.offset)..small(extent.offset + extent.length);
        assert!(want[range].iter().all(|b| *b == 0), "{extent:?}");
    }
    assert!(overlay.write_at(SIZE as u64, b"x").is_err());
    let second = Overlay::open(&path, Arc::new(Base(base_bytes())), "base");
    assert!(second.is_err(), "in use");
    overlay.flush().unwrap();
    drop(overlay);
    assert!(all(&open(&path)) == want, "after a restart");
    let other = Overlay::open(&path, Arc::new(Base(base_bytes())), "another");
    assert!(other.is_err(), "it goes with no other base");
    let stray = dir.path().join("stray");
    fs::write(&stray, "precious").unwrap();
    assert!(Overlay::open(&stray, Arc::new(Base(base_bytes())), "base").is_err());
    assert_eq!(fs::read(&stray).unwrap(), b"precious");
}

/// What a power cut leaves at its worst: bytes of unflushed writes, bits of none of them.
#[test]
fn what_was_flushed_survives_and_what_was_not_does_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("overlay");
    let map = map::path_of(&path);
    let overlay = open(&path);
    let mut want = base_bytes();
    overlay.write_at(100, &[1; 100_000]).unwrap();
    overlay.flush().unwrap();
    want[100..100_100].fill(1);
    let stored = fs::read(&map).unwrap();
    overlay.write_at(3_000_000, &[2; 100_000]).unwrap();
    assert!(
        fs::read(&map).unwrap() == stored,
        "no bit before its bytes are durable"
    );
    drop(overlay);
    let overlay = open(&path);
    assert!(all(&overlay) == want);
    // The garbage below is not brought to light by filling either.
    assert!(overlay.fill(|_| Filling::On).unwrap());
    assert!(all(&overlay) == want);
    drop(overlay);
    assert!(fs::read(&path).unwrap() == want, "an image of its own");
}

#[test]
fn filling_stops_goes_on_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("overlay");
    let mut want = base_bytes();
    let mut rounds = 0;
    loop {
        // Each round is a restart in the middle.
        let overlay = open(&path);
        let mark = (rounds % 200) as u8;
        overlay.write_at(rounds * 500_001, &[mark; 10]).unwrap();
        overlay.flush().unwrap();
        let at = small(rounds * 500_001);
        want[at..at + 10].fill(mark);
        let mut steps = 0;
        let done = overlay.fill(|_| {
            steps += 1;
            if steps == 3 {
                Filling::Stop
            } else {
                Filling::On
            }
        });
        assert!(all(&overlay) == want, "round {rounds}");
        rounds += 1;
        assert!(rounds < 10, "it gets on");
        if done.unwrap() {
            assert!(overlay.is_complete() && overlay.present() == SIZE as u64);
            break;
        }
    }
    assert!(rounds > 1, "it was interrupted");
    assert!(fs::read(&path).unwrap() == want);
    let overlay = open(&path);
    assert!(overlay.is_complete());
    assert!(FileSource::open(&path).is_ok());
}

#[test]
fn filling_does_not_write_over_what_is_written_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let overlay = open(&dir.path().join("overlay"));
    let stop = AtomicBool::new(false);
    let mut want = base_bytes();
    std::thread::scope(|scope| {
        let (ours, stop) = (&overlay, &stop);
        let writer = scope.spawn(move || {
            let mut written = Vec::new();
            for i in 0u64.. {
                let at = i * 7919 * 31 % (SIZE as u64 - 3000);
                let byte = (i % 255) as u8;
                if i % 5 == 0 {
                    ours.zero(at..at + 3000).unwrap();
                } else {
                    ours.write_at(at, &[byte; 3000]).unwrap();
                }
                written.push((small(at), if i % 5 == 0 { 0 } else { byte }));
                if stop.load(Relaxed) && i > 300 {
                    break;
                }
            }
            written
        });
        assert!(overlay.fill(|_| Filling::On).unwrap());
        stop.store(true, Relaxed);
        for (at, byte) in writer.join().unwrap() {
            want[at..at + 3000].fill(byte);
        }
    });
    overlay.flush().unwrap();
    assert!(all(&overlay) == want);
}
