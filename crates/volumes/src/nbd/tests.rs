//! The suites of the ports, over our own server.
#![expect(
    clippy::cast_possible_truncation,
    reason = "test volumes are small, and lists of one range are meant"
)]

use std::path::Path;
use std::sync::Arc;

use emberkeep_model::ByteCount;
use emberkeep_nbd::{Address, Listener, Place, Server, ServerOptions, SingleExport};

use super::*;
use crate::{
    FileSource, FileTarget, Overlay, RestoreTarget, SourceSnapshot, TargetState, conformance,
};

const SIZE: usize = (3 << 20) + 1000;

fn serve(dir: &Path, export: VolumeExport) -> (Server, Address) {
    let socket = dir.join("nbd.sock");
    let listener = Listener::unix(socket.clone()).unwrap();
    let exports = Arc::new(SingleExport::new("v", Arc::new(export)));
    let server = Server::start(listener, exports, ServerOptions::default()).unwrap();
    (server, Address::new(Place::Unix(socket), "v"))
}

fn content() -> Vec<u8> {
    let fill = |i: usize| {
        if i % 300_000 < 130_000 {
            (i % 251) as u8
        } else {
            0
        }
    };
    (0..SIZE).map(fill).collect()
}

#[test]
fn an_export_is_a_source() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let target = FileTarget::create_new(&path, ByteCount(SIZE as u64)).unwrap();
    target.write_at(0, &content()).unwrap();
    target.zero(1_000_000..1_200_000).unwrap();
    target.finish().unwrap();
    let mut want = content();
    want[1_000_000..1_200_000].fill(0);
    let source: Arc<dyn SourceSnapshot> = Arc::new(FileSource::open(&path).unwrap());
    let (_server, address) = serve(dir.path(), VolumeExport::ReadOnly(source));
    let source = NbdSource::open(&address, BitmapHints::default()).unwrap();
    conformance::source(&source, &want);
    let (_, extents) = source.extents(0..SIZE as u64, None).unwrap();
    assert!(extents.len() > 2, "the hole is told: {extents:?}");
    assert!(NbdTarget::open(&address, TargetState::HoldsData).is_err());
    let nowhere = Address {
        export: "w".into(),
        ..address
    };
    let missing = NbdSource::open(&nowhere, BitmapHints::default()).unwrap_err();
    assert!(matches!(missing, VolumeError::Missing { .. }), "{missing}");
}

#[test]
fn an_export_is_a_target() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("base");
    FileTarget::create_new(&path, ByteCount(SIZE as u64))
        .unwrap()
        .finish()
        .unwrap();
    let base: Arc<dyn SourceSnapshot> = Arc::new(FileSource::open(&path).unwrap());
    let overlay = Overlay::open(&dir.path().join("overlay"), base, "base").unwrap();
    let (_server, address) = serve(dir.path(), VolumeExport::Writable(Arc::new(overlay)));
    conformance::target(&NbdTarget::open(&address, TargetState::Zeroed).unwrap());
    conformance::target(&NbdTarget::open(&address, TargetState::HoldsData).unwrap());
}
