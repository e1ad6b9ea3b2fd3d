//! Disk images as people bring them: raw or qcow2.

#[cfg(feature = "qcow2")]
mod qcow2;
mod qcow2_target;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use emberkeep_model::ByteCount;

use crate::file::Medium;
use crate::{FileSource, SourceSnapshot, VolumeError};

pub use qcow2_target::Qcow2Target;

/// How an image file holds the volume's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageFormat {
    /// Byte by byte.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl ImageFormat {
    /// Returns the name that QEMU and OpenStack use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// Returns the format of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Raw, Self::Qcow2]
            .into_iter()
            .find(|format| format.as_str() == name)
    }
}

impl std::fmt::Display for ImageFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Formats that we cannot read and that nobody means to be taken as raw bytes:
/// where in the file which bytes give them away; from its end where that is negative.
const UNREADABLE: [(&str, i64, &[u8]); 18] = [
    ("a VMDK image", 0, b"KDMV"),
    ("a VMDK description", 0, b"# Disk DescriptorFile"),
    ("a VHDX image", 0, b"vhdxfile"),
    ("a VHD image", 0, b"conectix"),
    ("a VHD image of fixed size", -512, b"conectix"),
    ("a VDI image", 64, &[0x7f, 0x10, 0xda, 0xbe]),
    ("a QED image", 0, b"QED\0"),
    ("a Parallels image", 0, b"WithoutFreeSpace"),
    ("a Parallels image", 0, b"WithouFreSpacExt"),
    ("an EnCase image (E01)", 0, b"EVF\x09\x0d\x0a\xff\0"),
    ("an EnCase image (Ex01)", 0, b"EVF2\x0d\x0a\x81\0"),
    ("a ZIP archive", 0, b"PK\x03\x04"),
    (
        "a file compressed by bzip2",
        4,
        &[0x31, 0x41, 0x59, 0x26, 0x53, 0x59],
    ),
    ("a file compressed by lz4", 0, &[0x04, 0x22, 0x4d, 0x18]),
    ("a file compressed by lz4", 0, &[0x02, 0x21, 0x4c, 0x18]),
    ("a file compressed by gzip", 0, &[0x1f, 0x8b, 0x08]),
    (
        "a file compressed by xz",
        0,
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
    ),
    ("a file compressed by zstd", 0, &[0x28, 0xb5, 0x2f, 0xfd]),
];

const QCOW2_MAGIC: &[u8] = b"QFI\xfb";

/// Finds out the format of an image. A block device is raw: what its first bytes look like was
/// written by the disk's user, and must not change how it is read.
pub fn image_format(path: impl AsRef<Path>) -> Result<ImageFormat, VolumeError> {
    let path = path.as_ref();
    let what = path.display().to_string();
    if Medium::of(path, &what)? == Medium::Device {
        return Ok(ImageFormat::Raw);
    }
    let file = File::open(path).map_err(|cause| VolumeError::io(&what, cause))?;
    detect(&file, &what)
}

/// Opens an image for reading; its format is found out unless it is given.
///
/// An image that names other files, e.g. a backing file, is refused: whoever
/// brought it must not have us read files of this machine.
pub fn open_image(
    path: impl AsRef<Path>,
    format: Option<ImageFormat>,
) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
    let path = path.as_ref();
    let what = path.display().to_string();
    let medium = Medium::of(path, &what)?;
    let file = File::open(path).map_err(|cause| VolumeError::io(&what, cause))?;
    let format = match (format, medium) {
        (Some(format), _) => format,
        (None, Medium::Device) => ImageFormat::Raw,
        (None, Medium::File) => detect(&file, &what)?,
    };
    let image: Box<dyn SourceSnapshot> = match format {
        ImageFormat::Raw => Box::new(FileSource::open(path)?),
        #[cfg(feature = "qcow2")]
        ImageFormat::Qcow2 => Box::new(qcow2::Qcow2Source::open(file, &what)?),
        #[cfg(not(feature = "qcow2"))]
        ImageFormat::Qcow2 => {
            return Err(bad(
                &what,
                format,
                format!("this build cannot read qcow2; {CONVERT}"),
            ));
        }
    };
    if image.size() == ByteCount(0) {
        return Err(bad(&what, format, "it is empty"));
    }
    Ok(image)
}

/// What to do about an image that we cannot read.
const CONVERT: &str = "`qemu-img convert -O raw` makes an image that can be read";

fn detect(file: &File, what: &str) -> Result<ImageFormat, VolumeError> {
    let size = file
        .metadata()
        .map_err(|cause| VolumeError::io(what, cause))?
        .len();
    let begins_with = |offset: i64, magic: &[u8]| {
        let offset = match u64::try_from(offset) {
            Ok(offset) => offset,
            Err(_) => match size.checked_sub(offset.unsigned_abs()) {
                Some(offset) => offset,
                None => return Ok(false),
            },
        };
        let mut found = vec![0; magic.len()];
        match file.read_exact_at(&mut found, offset) {
            Ok(()) => Ok(found == magic),
            Err(cause) if cause.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(cause) => Err(VolumeError::io(format!("reading {what}"), cause)),
        }
    };
    if begins_with(0, QCOW2_MAGIC)? {
        return Ok(ImageFormat::Qcow2);
    }
    for (name, offset, magic) in UNREADABLE {
        if begins_with(offset, magic)? {
            let help = if name.contains("compressed") {
                "decompress it first"
            } else if name.contains("archive") {
                "unpack it first"
            } else if name.contains("EnCase") {
                "`ewfexport` makes an image that can be read"
            } else {
                CONVERT
            };
            let reason = format!("it looks like {name}; {help}, or say that it is raw if it is");
            return Err(bad(what, ImageFormat::Raw, reason));
        }
    }
    if begins_with(257, b"ustar")? && is_ova(file, what)? {
        let reason = "it looks like an OVA archive; unpack it (`tar -xf`) and convert the disk in it, \
                      or say that it is raw if it is";
        return Err(bad(what, ImageFormat::Raw, reason));
    }
    Ok(ImageFormat::Raw)
}

/// Tells whether an archive begins as appliances do, with their description. Any other archive may
/// be the content of a volume.
fn is_ova(file: &File, what: &str) -> Result<bool, VolumeError> {
    let mut name = [0; 100];
    file.read_exact_at(&mut name, 0)
        .map_err(|cause| VolumeError::io(format!("reading {what}"), cause))?;
    let end = name
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(name.len());
    Ok(name[..end].to_ascii_lowercase().ends_with(b".ovf"))
}

fn bad(what: &str, format: ImageFormat, reason: impl Into<String>) -> VolumeError {
    VolumeError::BadImage {
        what: what.to_owned(),
        format: format.as_str(),
        reason: reason.into(),
    }
}

#[cfg(test)]
#[cfg(feature = "qcow2")]
mod tests;
