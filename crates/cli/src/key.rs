//! `emberkeep key`: a master key on paper, and the proof that there is a copy of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use emberkeep_keys::{KeyFile, KeyKeeper, MasterKey};
use qrcodegen::{QrCode, QrCodeEcc};
use serde_json::json;

use crate::error::CliError;
use crate::output::{Output, OutputArgs};
use crate::repo::key_error;

const EXAMPLES: &str = "\
Examples:
  emberkeep key export emberkeep-data/master.key | lp       on paper, with a QR code
  emberkeep key confirm emberkeep-data/master.key           then type it in from the paper
  emberkeep key confirm emberkeep-data/master.key --copy /media/stick/master.key
  emberkeep key import restored.key                         make the key file again from the paper

A service warns at each start until a copy of its key as it is now was confirmed. Erasing a project
and `emberkeep repo rotate-key` change the key: make and confirm a new copy then.";

/// Options of `key`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct KeyArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print a master key for paper: digits with a check in each line, and a QR code
    Export {
        /// The master key file
        file: PathBuf,
        /// Leave the QR code out
        #[arg(long)]
        no_qr: bool,
    },
    /// Make a master key file from what `export` printed, typed in or scanned on standard input
    Import {
        /// The file to make; one that exists is never overwritten
        file: PathBuf,
    },
    /// Compare a copy of a master key with its file, and note that there is one
    Confirm {
        /// The master key file
        file: PathBuf,
        /// The copy, a key file too [default: what `export` printed, on standard input]
        #[arg(long, value_name = "FILE")]
        copy: Option<PathBuf>,
    },
}

/// Runs `key`.
pub(crate) fn run(args: KeyArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    match args.verb {
        Verb::Export { file, no_qr } => export(&file, no_qr, &output),
        Verb::Import { file } => import(&file, &output),
        Verb::Confirm { file, copy } => confirm(file, copy.as_deref(), &output),
    }
}

fn load(file: &Path) -> Result<MasterKey, CliError> {
    MasterKey::load(file).map_err(|error| key_error(&error))
}

fn export(file: &Path, no_qr: bool, output: &Output) -> Result<(), CliError> {
    let key = load(file)?;
    let paper = key.to_paper().ok_or_else(|| {
        CliError::refused("this key is too long for paper: a project was erased under it").hint(
            "copy the file, or `emberkeep repo rotate-key` makes a new key that is short again",
        )
    })?;
    let mut words = paper.trim_end().to_owned();
    if !no_qr {
        let code = QrCode::encode_text(&paper, QrCodeEcc::Medium)
            .map_err(|_| CliError::failed("the key does not fit into a QR code"))?;
        words.push_str("\n\n");
        words.push_str(&drawn(&code));
    }
    let json = json!({"key_id": key.id().to_string(), "paper": *paper});
    output.done(&words, &paper, &json)
}

/// Draws a QR code with two rows of dots in each line of text, to be printed dark on light.
fn drawn(code: &QrCode) -> String {
    const MARGIN: i32 = 4;
    let range = -MARGIN..code.size() + MARGIN;
    let row = |y: i32| {
        let signs =
            range.clone().map(
                |x| match (code.get_module(x, y), code.get_module(x, y + 1)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                },
            );
        signs.collect::<String>().trim_end().to_owned()
    };
    let rows: Vec<String> = range.clone().step_by(2).map(row).collect();
    rows.join("\n")
}

fn from_standard_input() -> Result<MasterKey, CliError> {
    let mut text = zeroize::Zeroizing::new(String::new());
    std::io::stdin()
        .take(64 << 10)
        .read_to_string(&mut text)
        .map_err(|error| CliError::failed_by("reading the key", &error))?;
    MasterKey::from_paper(&text).map_err(|error| CliError::refused(error.to_string()))
}

fn import(file: &Path, output: &Output) -> Result<(), CliError> {
    let key = from_standard_input()?;
    key.store_new(file).map_err(|error| key_error(&error))?;
    let words = format!("master key {} is in {}", key.id(), file.display());
    let json = json!({"key_id": key.id().to_string(), "key_file": file});
    output.done(&words, &key.id().to_string(), &json)
}

fn confirm(file: PathBuf, copy: Option<&Path>, output: &Output) -> Result<(), CliError> {
    let failed = |error| key_error(&error);
    let kept = KeyFile::new(file);
    let key = kept.load().map_err(failed)?;
    let found = match copy {
        // A copy in the same place would be lost with it.
        Some(copy) if same_file(copy, kept.path()) => {
            return Err(CliError::refused("the copy is the key file itself"));
        }
        Some(copy) => load(copy)?,
        None => from_standard_input()?,
    };
    if found.id() != key.id() {
        let words = format!(
            "the copy is of master key {}, the file of {}",
            found.id(),
            key.id()
        );
        return Err(CliError::refused(words));
    }
    if found.state() != key.state() {
        let words = "the copy is older than the key file: a project was erased in between";
        let hint = "the copy still opens older copies of that project; make a new copy and destroy this one";
        return Err(CliError::refused(words).hint(hint));
    }
    kept.confirm(&key).map_err(failed)?;
    let words = format!("there is a copy of master key {}", key.id());
    let json = json!({"key_id": key.id().to_string(), "confirmed": true});
    output.done(&words, &key.id().to_string(), &json)
}

fn same_file(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let facts = |path: &Path| path.metadata().map(|facts| (facts.dev(), facts.ino())).ok();
    facts(one).is_some() && facts(one) == facts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_drawn_dot_by_dot() {
        let code = QrCode::encode_text("emberkeep", QrCodeEcc::Medium).unwrap();
        let lines: Vec<Vec<char>> = drawn(&code).lines().map(|l| l.chars().collect()).collect();
        for y in 0..code.size() {
            for x in 0..code.size() {
                let (row, upper) = ((y + 4) / 2, (y + 4) % 2 == 0);
                let line = &lines[usize::try_from(row).unwrap()];
                let sign = line.get(usize::try_from(x + 4).unwrap()).copied();
                let dark = match sign.unwrap_or(' ') {
                    '█' => true,
                    '▀' => upper,
                    '▄' => !upper,
                    _ => false,
                };
                assert_eq!(dark, code.get_module(x, y), "{x},{y}");
            }
        }
    }
}
