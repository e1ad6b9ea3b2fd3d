//! What a program costs: wall and processor seconds and peak memory, as GNU time tells them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find, output};

/// The cost of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Cost {
    /// Seconds on the clock.
    pub(crate) wall_secs: f64,
    /// Seconds of all processors, user and system.
    pub(crate) cpu_secs: f64,
    /// The most memory it held, in MiB.
    pub(crate) peak_mib: f64,
}

/// Runs `command` and returns what it printed and what it cost.
pub(crate) fn measure(command: &Command, notes: &Path) -> Result<(String, Cost)> {
    let time = find("time").context("GNU time is missing (Debian package time)")?;
    let mut timed = Command::new(time);
    timed
        .args(["--format", "%e %U %S %M", "--output"])
        .arg(notes);
    timed.arg(command.get_program()).args(command.get_args());
    if let Some(folder) = command.get_current_dir() {
        timed.current_dir(folder);
    }
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let printed = output(&mut timed)?;
    Ok((printed, read(&fs::read_to_string(notes)?)?))
}

fn read(text: &str) -> Result<Cost> {
    let line = text.lines().last().unwrap_or_default();
    let numbers: Vec<f64> = line
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| text.to_owned())?;
    let [wall_secs, user, system, peak_kib] = numbers[..] else {
        bail!("GNU time said `{text}`");
    };
    Ok(Cost {
        wall_secs,
        cpu_secs: user + system,
        peak_mib: peak_kib / 1024.0,
    })
}

#[cfg(test)]
mod tests {
    use super::{Cost, read};

    #[test]
    fn reading() {
        let want = Cost {
            wall_secs: 1.5,
            cpu_secs: 2.75,
            peak_mib: 10.0,
        };
        assert_eq!(read("1.50 2.50 0.25 10240\n").unwrap(), want);
        assert!(read("Command exited with non-zero status 1").is_err());
    }
}
