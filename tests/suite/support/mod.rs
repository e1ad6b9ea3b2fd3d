//! Runs the built binary as a person would, with none of this process's own settings.

#[allow(dead_code, reason = "not every test file talks to a canned cloud")]
pub(crate) mod cloud;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A directory to work in.
pub(crate) struct Bench(tempfile::TempDir);

/// How a command ended and what it said.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emberkeep"));
        for (name, _) in std::env::vars() {
            if name.starts_with("EMBERKEEP_") || name.starts_with("OS_") {
                command.env_remove(name);
            }
        }
        command.env("EMBERKEEP_STATE_DIR", self.path(".state"));
        command
            .args(args)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command(args).output().expect("the binary runs");
        Ended {
            code: status.code(),
            out: String::from_utf8(stdout).expect("text"),
            err: String::from_utf8(stderr).expect("text"),
        }
    }

    /// Runs a command that must succeed; returns what it printed.
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(ended.code, Some(0), "{args:?}: {}", ended.err);
        ended.out
    }

    /// Runs a command that must succeed; returns the JSON it printed.
    pub(crate) fn json(&self, args: &[&str]) -> Value {
        let args = [args, &["-o", "json"]].concat();
        serde_json::from_str(&self.ok(&args)).expect("JSON")
    }

    /// Runs a command that must end with `code`; returns what it said on standard error.
    pub(crate) fn fails(&self, code: i32, args: &[&str]) -> String {
        let ended = self.run(args);
        assert_eq!(
            ended.code,
            Some(code),
            "{args:?}: {} {}",
            ended.out,
            ended.err
        );
        assert_eq!(ended.out, "", "{args:?}");
        ended.err
    }
}

/// Asserts that two files hold the same bytes.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let read =
        |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert!(
        read(one) == read(other),
        "{} and {} differ",
        one.display(),
        other.display()
    );
}

/// Returns bytes that are all different from place to place but always the same.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
