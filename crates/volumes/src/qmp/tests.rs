//! Against QEMU's own storage daemon, with writes going on.
#![expect(
    clippy::cast_possible_truncation,
    clippy::single_range_in_vec_init,
    reason = "test volumes are small, and lists of one range are meant"
)]

use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::*;
use crate::ExtentKind;

const MIB: u64 = 1 << 20;
const SIZE: u64 = 64 * MIB;

/// A daemon with one writable disk, as a hypervisor has it.
struct Daemon {
    process: Child,
    dir: PathBuf,
}

impl Daemon {
    fn start(dir: &Path) -> Self {
        let disk = dir.join("disk.qcow2");
        if !disk.exists() {
            let made = Command::new("qemu-img")
                .args(["create", "-q", "-f", "qcow2"])
                .arg(&disk)
                .arg(SIZE.to_string())
                .status()
                .expect("qemu-img has to be installed");
            assert!(made.success());
        }
        let at = |name: &str| dir.join(name).display().to_string();
        let _ = std::fs::remove_file(dir.join("qmp.sock"));
        // Whoever was killed has left its mount.
        let _ = Command::new("fusermount3")
            .arg("-u")
            .arg(dir.join("guest"))
            .status();
        std::fs::write(dir.join("guest"), "").unwrap();
        let process = Command::new("qemu-storage-daemon")
            .args([
                "--blockdev",
                &format!("driver=file,node-name=f0,filename={}", at("disk.qcow2")),
            ])
            .args(["--blockdev", "driver=qcow2,node-name=disk,file=f0"])
            .args([
                "--chardev",
                &format!("socket,id=c0,path={},server=on,wait=off", at("qmp.sock")),
            ])
            .args(["--monitor", "chardev=c0"])
            .args([
                "--export",
                &format!(
                    "type=fuse,id=guest,node-name=disk,mountpoint={},writable=on",
                    at("guest")
                ),
            ])
            .stderr(Stdio::inherit())
            .spawn()
            .expect("qemu-storage-daemon has to be installed");
        let daemon = Self {
            process,
            dir: dir.to_owned(),
        };
        for _ in 0..500 {
            let mounted = std::fs::metadata(dir.join("guest")).is_ok_and(|meta| meta.len() == SIZE);
            if dir.join("qmp.sock").exists() && mounted {
                return daemon;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the daemon does not come up");
    }

    fn address(&self) -> QmpAddress {
        QmpAddress {
            socket: self.dir.join("qmp.sock"),
            node: "disk".to_owned(),
        }
    }

    /// What the guest sees of its disk.
    fn guest(&self) -> std::fs::File {
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(self.dir.join("guest"))
            .unwrap()
    }

    fn freeze(&self, lineage: Option<&str>) -> QmpSource {
        QmpSource::freeze(&self.address(), &self.dir, lineage).unwrap()
    }

    /// Ends in good order, so that bitmaps are stored in the image.
    fn quit(mut self) {
        let mut monitor = Monitor::connect(&self.address().socket).unwrap();
        // The answer may not come any more.
        let _ = monitor.ask("quit", json!({}));
        self.process.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have quit already.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = Command::new("fusermount3")
            .arg("-uq")
            .arg(self.dir.join("guest"))
            .stderr(Stdio::null())
            .status();
    }
}

fn all(source: &dyn SourceSnapshot) -> Vec<u8> {
    let mut bytes = vec![0xAA; SIZE as usize];
    source.read_at(0, &mut bytes).unwrap();
    bytes
}

/// Returns where the source says that something may have been written since.
fn changed(source: &QmpSource, lineage: &str) -> Vec<Range<u64>> {
    let (told, extents) = source.extents(0..SIZE, Some(lineage)).unwrap();
    let lineage = lineage.to_owned();
    assert_eq!(told, ChangeSet::Since { lineage });
    extents
        .iter()
        .filter(|extent| extent.kind != ExtentKind::Unchanged)
        .map(|extent| extent.offset..extent.offset + extent.length)
        .collect()
}

#[test]
fn an_instant_stands_still_while_the_guest_writes() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let guest = daemon.guest();
    let mut disk = vec![0; SIZE as usize];
    let mut write = |at: u64, byte: u8, length: u64| {
        guest
            .write_all_at(&vec![byte; length as usize], at)
            .unwrap();
        disk[at as usize..(at + length) as usize].fill(byte);
        disk.clone()
    };
    let first = write(3 * MIB, 1, 5 * MIB);
    let frozen = daemon.freeze(None);
    let lineage = frozen.lineage().unwrap();
    let second = write(4 * MIB, 2, MIB);
    crate::conformance::source(&frozen, &first);
    // A guest that never rests while the instant is read again and again.
    let stop = AtomicBool::new(false);
    let noisy = daemon.guest();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0u64.. {
                let at = (40 * MIB) + i * 37 * 4096 % (20 * MIB);
                noisy.write_all_at(&[7; 4096], at).unwrap();
                if stop.load(Relaxed) {
                    break;
                }
            }
        });
        for _ in 0..5 {
            assert!(all(&frozen) == first, "the instant");
        }
        stop.store(true, Relaxed);
    });
    guest
        .write_all_at(&vec![0; (20 * MIB) as usize], 40 * MIB)
        .unwrap();
    frozen.commit().unwrap();

    let frozen = daemon.freeze(Some(&lineage));
    assert!(all(&frozen) == second);
    let told = changed(&frozen, &lineage);
    assert!(told.contains(&(4 * MIB..5 * MIB)), "{told:?}");
    let outside = |range: &&Range<u64>| range.start < 40 * MIB && **range != (4 * MIB..5 * MIB);
    assert!(!told.iter().any(|range| outside(&range)), "{told:?}");
    let next = frozen.lineage().unwrap();
    assert_ne!(next, lineage);
    // What the guest writes now is of the next instant, and is not lost if this one fails.
    write(10 * MIB, 3, MIB);
    frozen.abandon().unwrap();
    let third = write(20 * MIB, 4, MIB);
    let frozen = daemon.freeze(Some(&lineage));
    assert!(all(&frozen) == third);
    let told = changed(&frozen, &lineage);
    for range in [4 * MIB..5 * MIB, 10 * MIB..11 * MIB, 20 * MIB..21 * MIB] {
        assert!(told.contains(&range), "{range:?} in {told:?}");
    }
    frozen.commit().unwrap();
    let strange = daemon.freeze(Some("nbd-bitmap:no-such"));
    let (told, _) = strange
        .extents(0..SIZE, Some("nbd-bitmap:no-such"))
        .unwrap();
    assert!(matches!(told, ChangeSet::FullScan { .. }), "{told:?}");
    strange.commit().unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(OURS))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_a_killed_backup_left_is_put_right_and_bitmaps_outlive_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path());
    let guest = daemon.guest();
    let write = |at: u64, byte: u8| guest.write_all_at(&vec![byte; MIB as usize], at).unwrap();
    write(0, 1);
    let frozen = daemon.freeze(None);
    let lineage = frozen.lineage().unwrap();
    frozen.commit().unwrap();
    write(5 * MIB, 2);
    let mut killed = daemon.freeze(Some(&lineage));
    write(6 * MIB, 3);
    // The process dies here: nothing is taken down, but the connection to the monitor ends.
    killed.frozen = None;
    drop(killed);
    write(7 * MIB, 4);
    let frozen = daemon.freeze(Some(&lineage));
    assert_eq!(changed(&frozen, &lineage), [5 * MIB..8 * MIB]);
    let next = frozen.lineage().unwrap();
    frozen.commit().unwrap();
    write(9 * MIB, 5);
    drop(guest);
    daemon.quit();

    let daemon = Daemon::start(dir.path());
    let frozen = daemon.freeze(Some(&next));
    assert_eq!(changed(&frozen, &next), [9 * MIB..10 * MIB]);
    frozen.commit().unwrap();
}

#[test]
fn addresses_name_a_socket_and_a_node() {
    let address: QmpAddress = "qmp+unix:///disk?socket=/run/qmp.sock".parse().unwrap();
    let want = QmpAddress {
        socket: "/run/qmp.sock".into(),
        node: "disk".into(),
    };
    assert_eq!(address, want);
    for text in [
        "qmp+unix:///?socket=/s",
        "qmp+unix:///disk",
        "qmp://disk",
        "disk",
    ] {
        assert!(text.parse::<QmpAddress>().is_err(), "{text}");
    }
    let nowhere = QmpSource::freeze(&want, Path::new("/tmp"), None)
        .err()
        .unwrap();
    assert!(matches!(nowhere, VolumeError::Io { .. }), "{nowhere}");
}
