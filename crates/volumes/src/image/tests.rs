use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::*;
use crate::conformance;

/// A directory in which qemu-img works.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("scratch"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs qemu-img in the directory; false if this build of it cannot do that.
    fn qemu_img(&self, args: &str) -> bool {
        let run = Command::new("qemu-img")
            .args(args.split(' '))
            .current_dir(self.0.path())
            .output();
        run.expect("qemu-img has to be installed").status.success()
    }

    /// Writes `disk.raw`: data, zeroes and holes, ending off a cluster border.
    fn disk(&self) -> Vec<u8> {
        let mut content = vec![0; (5 << 20) + 512];
        for (i, byte) in content
            .iter_mut()
            .rev()
            .enumerate()
            .filter(|(i, _)| i % 900_000 < 400_000)
        {
            *byte = (i * i / 1000 % 256).to_le_bytes()[0];
        }
        fs::write(self.path("disk.raw"), &content).expect("write");
        content
    }

    fn refusal(&self, name: &str) -> String {
        match open_image(self.path(name), None).err() {
            Some(error @ VolumeError::BadImage { .. }) => error.to_string(),
            other => panic!("{name}: {other:?}"),
        }
    }

    fn patch(&self, name: &str, offset: u64, bytes: &[u8]) {
        let file = File::options()
            .write(true)
            .open(self.path(name))
            .expect("open");
        file.write_all_at(bytes, offset).expect("patch");
    }
}

#[test]
fn images_read_as_what_was_put_in() {
    let bench = Bench::new();
    let content = bench.disk();
    let ways = [
        ("raw", "convert -O raw"),
        ("plain", "convert -O qcow2"),
        ("version 2", "convert -O qcow2 -o compat=0.10"),
        ("compressed", "convert -c -O qcow2"),
        ("small clusters", "convert -O qcow2 -o cluster_size=512"),
        ("large clusters", "convert -O qcow2 -o cluster_size=2M"),
        ("preallocated", "convert -O qcow2 -o preallocation=metadata"),
        ("explicit zeroes", "convert -S 0 -O qcow2"),
    ];
    for (what, how) in ways {
        println!("{what}");
        assert!(
            bench.qemu_img(&format!("{how} -f raw disk.raw image")),
            "{what}: qemu-img"
        );
        conformance::source(
            &*open_image(bench.path("image"), None).expect(what),
            &content,
        );
    }
    assert!(bench.qemu_img("convert -O qcow2 -f raw disk.raw image"));
    let as_raw =
        open_image(bench.path("image"), Some(ImageFormat::Raw)).expect("raw if one says so");
    assert_eq!(
        as_raw.size().0,
        fs::metadata(bench.path("image")).expect("meta").len()
    );
}

#[test]
fn empty_areas_of_an_image_are_not_read() {
    let bench = Bench::new();
    assert!(bench.qemu_img("create -q -f qcow2 image 1T"));
    let image = open_image(bench.path("image"), None).expect("open");
    let (_, extents) = image.extents(0..1 << 40, None).expect("extents");
    let all = crate::Extent {
        offset: 0,
        length: 1 << 40,
        kind: crate::ExtentKind::Zero,
    };
    assert_eq!(extents, [all]);
}

#[test]
fn images_that_name_other_files_are_refused() {
    let bench = Bench::new();
    bench.disk();
    assert!(bench.qemu_img("create -q -f qcow2 -F raw -b disk.raw backed"));
    assert!(
        bench.refusal("backed").contains("backing file"),
        "{}",
        bench.refusal("backed")
    );
    assert!(bench.qemu_img("create -q -f qcow2 -o data_file=elsewhere.raw split 1M"));
    assert!(
        bench.refusal("split").contains("another file"),
        "{}",
        bench.refusal("split")
    );
}

#[test]
fn images_beyond_us_are_refused_with_advice() {
    let bench = Bench::new();
    bench.disk();
    let mut tried = 0;
    for (what, how, want) in [
        (
            "zstd",
            "convert -c -O qcow2 -o compression_type=zstd",
            "zstd",
        ),
        (
            "extended",
            "convert -O qcow2 -o extended_l2=on",
            "extended L2",
        ),
        ("vmdk", "convert -O vmdk", "a VMDK image"),
        ("vdi", "convert -O vdi", "a VDI image"),
        ("vhdx", "convert -O vhdx", "a VHDX image"),
    ] {
        if !bench.qemu_img(&format!("{how} -f raw disk.raw image")) {
            println!("skipped: this qemu-img cannot make {what}");
            continue;
        }
        tried += 1;
        let got = bench.refusal("image");
        assert!(
            got.contains(want) && got.contains("qemu-img convert -O raw"),
            "{what}: {got}"
        );
        assert!(
            open_image(bench.path("image"), Some(ImageFormat::Raw)).is_ok(),
            "{what}: as raw"
        );
    }
    assert!(tried > 0, "qemu-img can make some of them");
}

#[test]
fn damaged_images_are_refused() {
    let bench = Bench::new();
    let content = bench.disk();
    for (what, offset, bytes, want) in [
        ("version", 4, &[0, 0, 0, 9][..], "version is unknown"),
        ("cluster size", 20, &[0, 0, 0, 63], "cluster size"),
        ("size", 24, &[0x7f; 8], "tables do not fit"),
        ("encryption", 32, &[0, 0, 0, 1], "encrypted"),
        ("no L1 table", 36, &[0; 4], "tables do not fit"),
        ("huge L1 table", 36, &[0xff; 4], "tables do not fit"),
        (
            "L1 table elsewhere",
            40,
            &[0, 0, 0, 0x70, 0, 0, 0, 0],
            "cut short or damaged",
        ),
        (
            "L1 table off",
            40,
            &[0, 0, 0, 0, 0, 3, 0, 1],
            "cut short or damaged",
        ),
        ("dirty", 79, &[1], "not closed properly"),
        ("corrupt", 79, &[2], "marked as corrupt"),
        (
            "unknown feature",
            76,
            &[0x80],
            "features that we do not know",
        ),
    ] {
        assert!(bench.qemu_img("convert -O qcow2 -f raw disk.raw image"));
        bench.patch("image", offset, bytes);
        let got = bench.refusal("image");
        assert!(got.contains(want), "{what}: {got}");
    }

    // However much is missing, the image is refused or fails when read; it
    // never reads as something else.
    for how in ["convert -O qcow2", "convert -c -O qcow2"] {
        assert!(bench.qemu_img(&format!("{how} -f raw disk.raw whole")));
        let whole = fs::read(bench.path("whole")).expect("read");
        let near_the_end = (1..20).map(|cut| whole.len() - cut * cut * 7);
        for length in (0..whole.len()).step_by(30_011).chain(near_the_end) {
            fs::write(bench.path("image"), &whole[..length]).expect("write");
            let Ok(image) = open_image(bench.path("image"), Some(ImageFormat::Qcow2)) else {
                continue;
            };
            let mut got = vec![0; content.len()];
            if image.read_at(0, &mut got).is_ok() {
                assert!(got == content, "{how}, cut to {length}: wrong bytes");
            }
        }
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let scratch = tempfile::tempdir().expect("scratch");
    let path = scratch.path().join("image");
    assert!(matches!(
        open_image(&path, None).err(),
        Some(VolumeError::Missing { .. })
    ));
    assert!(matches!(
        open_image(scratch.path(), None).err(),
        Some(VolumeError::Io { .. })
    ));
    for (what, content, want) in [
        ("empty", &b""[..], "cannot be read as raw: it is empty"),
        (
            "cut short",
            b"QFI\xfb",
            "cannot be read as qcow2: it refers to bytes past the end",
        ),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0", "decompress it first"),
        ("xz", b"\xfd7zXZ\0\0", "decompress it first"),
    ] {
        fs::write(&path, content).expect("write");
        let got = open_image(&path, None)
            .err()
            .map(|e| e.to_string())
            .unwrap_or_default();
        assert!(got.contains(want), "{what}: {got}");
    }
    fs::write(&path, b"just bytes").expect("write");
    assert_eq!(open_image(&path, None).expect("raw").size(), ByteCount(10));
    let got = open_image(&path, Some(ImageFormat::Qcow2)).err();
    assert!(
        matches!(
            got,
            Some(VolumeError::BadImage {
                format: "qcow2",
                ..
            })
        ),
        "{got:?}"
    );
    for format in [ImageFormat::Raw, ImageFormat::Qcow2] {
        assert_eq!(ImageFormat::named(format.as_str()), Some(format));
    }
}

#[test]
fn what_is_no_raw_image_is_refused_by_its_marks() {
    let dir = tempfile::tempdir().expect("scratch");
    let path = dir.path().join("image");
    let mut fixed = vec![7; 4096];
    let end = fixed.len() - 512;
    fixed[end..end + 8].copy_from_slice(b"conectix");
    let tar = |name: &[u8]| {
        let mut archive = vec![0; 4096];
        archive[..name.len()].copy_from_slice(name);
        archive[257..262].copy_from_slice(b"ustar");
        archive
    };
    let begins = |mark: &[u8]| [mark, &[0; 4096]].concat();
    let cases: [(&str, Vec<u8>, Option<&str>); 16] = [
        (
            "QED",
            begins(b"QED\0"),
            Some("a QED image; `qemu-img convert"),
        ),
        (
            "Parallels",
            begins(b"WithoutFreeSpace"),
            Some("a Parallels image; `qemu-img"),
        ),
        (
            "Parallels, later",
            begins(b"WithouFreSpacExt"),
            Some("a Parallels image"),
        ),
        (
            "fixed VHD",
            fixed,
            Some("a VHD image of fixed size; `qemu-img"),
        ),
        (
            "OVA",
            tar(b"machine.ovf"),
            Some("an OVA archive; unpack it"),
        ),
        (
            "OVA in capitals",
            tar(b"MACHINE.OVF"),
            Some("an OVA archive"),
        ),
        (
            "bzip2",
            begins(b"BZh91AY&SY"),
            Some("compressed by bzip2; decompress it first"),
        ),
        (
            "ZIP",
            begins(b"PK\x03\x04"),
            Some("a ZIP archive; unpack it first"),
        ),
        (
            "lz4",
            begins(&[0x04, 0x22, 0x4d, 0x18]),
            Some("compressed by lz4; decompress"),
        ),
        (
            "old lz4",
            begins(&[0x02, 0x21, 0x4c, 0x18]),
            Some("compressed by lz4"),
        ),
        (
            "E01",
            begins(b"EVF\x09\x0d\x0a\xff\0"),
            Some("an EnCase image (E01); `ewfexport`"),
        ),
        (
            "Ex01",
            begins(b"EVF2\x0d\x0a\x81\0"),
            Some("an EnCase image (Ex01)"),
        ),
        // What a volume may well hold.
        ("a tape", tar(b"etc/passwd"), None),
        ("QED cut short", b"QED".to_vec(), None),
        (
            "a footer elsewhere",
            begins(&[[0; 512].as_slice(), b"conectix"].concat()),
            None,
        ),
        ("text", b"PK is short".to_vec(), None),
    ];
    for (name, content, wanted) in cases {
        fs::write(&path, content).expect("write");
        match (open_image(&path, None), wanted) {
            (Ok(_), None) => assert_eq!(image_format(&path).expect(name), ImageFormat::Raw),
            (Err(error @ VolumeError::BadImage { .. }), Some(words)) => {
                let told = error.to_string();
                assert!(told.contains(words), "{name}: {told}");
                open_image(&path, Some(ImageFormat::Raw)).expect(name);
            }
            (other, _) => panic!("{name}: {:?}", other.err()),
        }
    }
}
