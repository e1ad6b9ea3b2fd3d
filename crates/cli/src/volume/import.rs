//! `emberkeep volume import`: reads a disk image here and sends its data, not its holes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use clap::Args;
use emberkeep_sdk::{Connection, NewImport, VolumeId};
use emberkeep_volumes::{ExtentKind, ImageFormat, SourceSnapshot, VolumeError, open_image};
use tokio::sync::mpsc;

use super::SHOW;
use crate::error::CliError;
use crate::output::Output;
use crate::progress::Bar;

/// One piece of an image: read, looked at for zeroes, and sent.
const PIECE: u64 = 1 << 20;
/// How far extents are asked for at once.
const STRIDE: u64 = 1 << 30;
/// Pieces read ahead of the network.
const AHEAD: usize = 8;

/// Options of `volume import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The image file or block device
    image: PathBuf,
    /// Name of the volume [default: the file name without its extension]
    #[arg(long)]
    name: Option<String>,
    /// Free text
    #[arg(long)]
    description: Option<String>,
    /// Image format [default: detected]
    #[arg(long, value_parser = ["raw", "qcow2"])]
    format: Option<String>,
}

/// Runs `volume import`.
pub(crate) async fn run(
    args: ImportArgs,
    connection: &Connection,
    output: &Output,
) -> Result<(), CliError> {
    let format = args.format.as_deref().and_then(ImageFormat::named);
    let name = args.name.or_else(|| {
        args.image
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
    });
    let sent = send(connection, &args.image, format, name, args.description).await?;
    // What the import answers is the native view; people get the same as from `show`.
    let volume = connection.block_storage().volume(&sent.volume_id).await?;
    output.record(SHOW, &volume)
}

/// What an import did.
pub(crate) struct Imported {
    /// The volume.
    pub(crate) volume_id: VolumeId,
    /// Bytes that were sent.
    pub(crate) sent: u64,
}

/// Makes a volume from an image file.
pub(crate) async fn send(
    connection: &Connection,
    image: &Path,
    format: Option<ImageFormat>,
    name: Option<String>,
    description: Option<String>,
) -> Result<Imported, CliError> {
    let path = image.to_owned();
    let source = tokio::task::spawn_blocking(move || open_image(path, format))
        .await
        .map_err(|cause| CliError::failed_by("reading the image", &cause))?
        .map_err(|error| unreadable(&error))?;
    let size = source.size().0;
    let new = NewImport {
        name,
        description,
        size_bytes: size,
    };
    let mut import = connection.native().import_volume(new);
    let bar = Bar::new("importing", size);
    let (pieces, mut read) = mpsc::channel(AHEAD);
    let reader = tokio::task::spawn_blocking(move || read_data(source.as_ref(), &pieces));
    let mut sent = 0;
    let mut refused = None;
    while let Some((offset, piece)) = read.recv().await {
        let length = piece.len() as u64;
        if let Err(error) = import.write(offset, piece).await {
            refused = Some(error);
            break;
        }
        sent += length;
        bar.set(offset + length, size);
    }
    drop(read);
    let whole = reader
        .await
        .map_err(|cause| CliError::failed_by("reading the image", &cause))?;
    if let Some(error) = refused {
        return Err(CliError::from(error).doing(format_args!("importing {}", image.display())));
    }
    // Only a whole image may be finished: a torn stream is thrown away by the service.
    whole.map_err(|error| unreadable(&error))?;
    let volume = import.finish().await.map_err(|error| {
        CliError::from(error).doing(format_args!("importing {}", image.display()))
    })?;
    Ok(Imported {
        volume_id: VolumeId(volume.id.to_string()),
        sent,
    })
}

fn unreadable(error: &VolumeError) -> CliError {
    match error {
        VolumeError::Missing { .. } => CliError::not_found(error.to_string()),
        VolumeError::BadImage { .. } => CliError::refused(error.to_string()),
        _ => CliError::failed(error.to_string()),
    }
}

/// Reads what is not zero, in order, until the end or until nobody takes it any more.
fn read_data(
    source: &dyn SourceSnapshot,
    pieces: &mpsc::Sender<(u64, Bytes)>,
) -> Result<(), VolumeError> {
    let size = source.size().0;
    let mut at = 0;
    while at < size {
        let end = size.min(at + STRIDE);
        let (_, extents) = source.extents(at..end, None)?;
        for extent in extents
            .iter()
            .filter(|extent| extent.kind != ExtentKind::Zero)
        {
            for range in cut(extent.offset..extent.offset + extent.length) {
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let mut piece = vec![0; length];
                source.read_at(range.start, &mut piece)?;
                if piece.iter().any(|byte| *byte != 0)
                    && pieces
                        .blocking_send((range.start, Bytes::from(piece)))
                        .is_err()
                {
                    return Ok(());
                }
            }
        }
        at = end;
    }
    Ok(())
}

fn cut(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let start = at;
        at = range.end.min((start / PIECE + 1) * PIECE);
        (start < range.end).then_some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_whole_pieces() {
        for (what, range, want) in [
            ("nothing", 5..5, vec![]),
            (
                "in the middle of one",
                PIECE + 1..2 * PIECE - 1,
                std::iter::once(PIECE + 1..2 * PIECE - 1).collect(),
            ),
            (
                "over a border",
                PIECE - 1..PIECE + 1,
                vec![PIECE - 1..PIECE, PIECE..PIECE + 1],
            ),
            ("whole ones", 0..2 * PIECE, vec![0..PIECE, PIECE..2 * PIECE]),
        ] {
            assert_eq!(cut(range).collect::<Vec<_>>(), want, "{what}");
        }
    }
}
