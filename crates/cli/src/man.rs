//! `emberkeep man-pages`: the help of every command as manual pages.

use std::path::{Path, PathBuf};

use clap::{Args, Command};

use crate::error::CliError;
use crate::output::print;

/// Options of `man-pages`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Output directory, created if missing
    dir: PathBuf,
}

/// Runs `man-pages`.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<(), CliError> {
    let failed = |cause: &std::io::Error| {
        CliError::failed_by(format_args!("writing to {}", args.dir.display()), cause)
    };
    std::fs::create_dir_all(&args.dir).map_err(|cause| failed(&cause))?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let written = pages(&command, &args.dir).map_err(|cause| failed(&cause))?;
    print(&format!("{written} pages in {}\n", args.dir.display()))
}

/// Writes the page of a command and of all below it.
fn pages(command: &Command, dir: &Path) -> std::io::Result<usize> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    std::fs::write(dir.join(format!("{name}.1")), page)?;
    let mut written = 1;
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        written += pages(inner, dir)?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs {
            dir: dir.path().join("man"),
        };
        run(&args, Cli::command()).unwrap();
        for (name, says) in [
            ("emberkeep.1", "Cloud backup and recovery"),
            ("emberkeep-policy.1", "policy"),
            ("emberkeep-backup-create.1", "Back up a volume"),
        ] {
            let page = std::fs::read_to_string(args.dir.join(name)).unwrap();
            assert!(page.contains(says), "{name}");
        }
    }
}
