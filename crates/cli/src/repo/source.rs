//! What `repo backup` reads: images, and what other programs serve.

use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_engine::Manifest;
use emberkeep_nbd::Address;
use emberkeep_volumes::qmp::{QmpAddress, QmpSource};
use emberkeep_volumes::{
    BitmapHints, ImageFormat, NbdSource, SourceSnapshot, VolumeError, image_format, open_image,
};

use crate::error::{CliError, chain};
use crate::output::say;

/// How a source is read.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Image format [default: detected]
    #[arg(long, value_parser = ["raw", "qcow2"])]
    format: Option<String>,
    /// Of an NBD export: the dirty bitmap that was written since the parent, so that only what it
    /// names is read
    #[arg(long, value_name = "BITMAP")]
    changed: Option<String>,
    /// Of an NBD export: the dirty bitmap that is written from this instant on; the next backup
    /// names it with --changed
    #[arg(long, value_name = "BITMAP")]
    tracking: Option<String>,
    /// Of a running QEMU: the directory for what is overwritten during the backup, which QEMU must
    /// be able to write to [default: that of its monitor's socket]
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// An open source.
pub(super) enum Source {
    /// One that stays as it is by itself.
    Still(Box<dyn SourceSnapshot>),
    /// One that was frozen for us, and has to be let go.
    Frozen(Box<QmpSource>),
}

impl Source {
    /// Opens a source; `parent` is the backup that the new one is made after.
    pub(super) fn open(
        image: &Path,
        args: &SourceArgs,
        parent: Option<&Manifest>,
    ) -> Result<Self, CliError> {
        let failed = |error| image_error(&error);
        let hints = BitmapHints {
            until: args.changed.clone(),
            since: args.tracking.clone(),
        };
        if let Some(address) = export_address(image)? {
            let source = NbdSource::open(&address, hints).map_err(failed)?;
            return Ok(Self::Still(Box::new(source)));
        }
        if hints != BitmapHints::default() {
            return Err(CliError::usage(
                "--changed and --tracking name bitmaps of an NBD export, which this is not",
            ));
        }
        if let Some(address) = monitor_address(image)? {
            let beside = address.socket.parent().unwrap_or(Path::new("."));
            let scratch = args.scratch.as_deref().unwrap_or(beside);
            let lineage = parent.and_then(|manifest| manifest.lineage.as_deref());
            let frozen = QmpSource::freeze(&address, scratch, lineage).map_err(failed)?;
            return Ok(Self::Frozen(Box::new(frozen)));
        }
        let format = match args.format.as_deref().and_then(ImageFormat::named) {
            Some(format) => format,
            None => {
                let found = image_format(image).map_err(failed)?;
                if found != ImageFormat::Raw {
                    say(&format!(
                        "emberkeep: {} is read as {found}; --format raw takes it byte by byte",
                        image.display()
                    ));
                }
                found
            }
        };
        Ok(Self::Still(
            open_image(image, Some(format)).map_err(failed)?,
        ))
    }

    /// Returns what is read.
    pub(super) fn snapshot(&self) -> &dyn SourceSnapshot {
        match self {
            Self::Still(source) => source.as_ref(),
            Self::Frozen(source) => source.as_ref(),
        }
    }

    /// Lets it go. A backup that is durable stays good whatever happens here: the next one
    /// reads all if it has to.
    pub(super) fn end(self, backed_up: bool) {
        let Self::Frozen(source) = self else {
            return;
        };
        let ended = if backed_up {
            source.commit()
        } else {
            source.abandon()
        };
        if let Err(error) = ended {
            let words = chain(&error);
            say(&format!(
                "emberkeep: QEMU could not be left as it was: {words}"
            ));
        }
    }
}

/// Returns the name of a backup that was given none.
pub(super) fn default_name(image: &Path) -> String {
    let named = match (export_address(image), monitor_address(image)) {
        (Ok(Some(address)), _) => Some(address.export),
        (_, Ok(Some(address))) => Some(address.node),
        _ => None,
    };
    let named = named.filter(|name| !name.is_empty());
    named.unwrap_or_else(|| {
        image.file_stem().map_or_else(
            || "image".to_owned(),
            |stem| stem.to_string_lossy().into_owned(),
        )
    })
}

/// Understands the address of an NBD export; none where a file is meant.
pub(super) fn export_address(path: &Path) -> Result<Option<Address>, CliError> {
    understood(path, Address::looks_like)
}

/// Understands the address of a node of a running QEMU; none where a file is meant.
fn monitor_address(path: &Path) -> Result<Option<QmpAddress>, CliError> {
    understood(path, QmpAddress::looks_like)
}

fn understood<T>(path: &Path, meant: impl Fn(&str) -> bool) -> Result<Option<T>, CliError>
where
    T: std::str::FromStr<Err = emberkeep_nbd::AddressError>,
{
    match path.to_str().filter(|text| meant(text)) {
        None => Ok(None),
        Some(text) => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(error) => Err(CliError::refused(chain(&error))),
        },
    }
}

fn image_error(error: &VolumeError) -> CliError {
    match error {
        VolumeError::Missing { .. } => CliError::not_found(error.to_string()),
        VolumeError::BadImage { .. } => CliError::refused(error.to_string()),
        VolumeError::Exists { .. }
        | VolumeError::NoSpace { .. }
        | VolumeError::OutOfRange { .. }
        | VolumeError::Io { .. } => CliError::failed(chain(error)),
    }
}
