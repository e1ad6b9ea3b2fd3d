//! Where a master key comes from.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::{KeyFile, KeyFileError, KeyKeeper, MasterKey};

/// A command that has not answered by then is ended.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than any key takes: room for ten thousand erased projects.
const MOST_BYTES: u64 = 64 << 20;

/// Where a master key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A key file, which is changed when a project is erased.
    File(PathBuf),
    /// A key file that somebody else gives to this process and may take away: read and never written.
    Given(PathBuf),
    /// A shell command that prints a key file.
    Command(String),
}

impl KeySource {
    /// Reads the key; never makes one.
    pub fn load(&self) -> Result<MasterKey, KeyFileError> {
        match self {
            Self::File(path) | Self::Given(path) => MasterKey::load(path),
            Self::Command(command) => from_command(command, PATIENCE),
        }
    }

    /// Returns where the key can be changed, if it can be.
    pub fn keeper(&self) -> Option<Arc<dyn KeyKeeper>> {
        match self {
            Self::File(path) => Some(Arc::new(KeyFile::new(path))),
            Self::Given(_) | Self::Command(_) => None,
        }
    }

    /// Returns the file that is changed with the key, if there is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Given(_) | Self::Command(_) => None,
        }
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) | Self::Given(path) => path.display().fmt(f),
            Self::Command(command) => write!(f, "the command '{command}'"),
        }
    }
}

fn from_command(command: &str, patience: Duration) -> Result<MasterKey, KeyFileError> {
    let failed = |reason: String| KeyFileError::Command {
        command: command.to_owned(),
        reason,
    };
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|cause| failed(cause.to_string()))?;
    let printed = child.stdout.take().expect("it is piped");
    let deadline = Instant::now() + patience;
    let (sender, answer) = channel();
    // On its own: a child of the command may hold the pipe open for as long as it likes.
    std::thread::spawn(move || {
        let mut text = Zeroizing::new(Vec::with_capacity(64 << 10));
        let read = printed.take(MOST_BYTES).read_to_end(&mut text);
        // Nobody waits for it any more once the time is up.
        let _ = sender.send(read.map(|_| text));
    });
    let text = match answer.recv_timeout(patience) {
        Ok(read) => read.map_err(|cause| failed(cause.to_string())),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Err(failed(format!("no answer within {} s", patience.as_secs())))
        }
    };
    let ended = wait(&mut child, deadline).map_err(|cause| failed(cause.to_string()))?;
    let text = text?;
    match ended {
        Some(status) if status.success() => {}
        Some(status) => return Err(failed(status.to_string())),
        None => return Err(failed(format!("no end within {} s", patience.as_secs()))),
    }
    MasterKey::parse(&text).map_err(|reason| failed(format!("what it printed is no key: {reason}")))
}

/// Waits for a process until then, and ends it.
fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_prints_a_key_or_says_why_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::create(&path).unwrap();
        let run = |command: &str| KeySource::Command(command.to_owned()).load();
        let cat = format!("cat '{}'", path.display());
        assert_eq!(run(&cat).unwrap().whole(), made.whole());
        for (command, wanted) in [
            (format!("{cat}; exit 3"), "exit status: 3"),
            ("exit 4".to_owned(), "exit status: 4"),
            ("true".to_owned(), "no key: it is empty"),
            (
                format!("{cat} | head -c 60"),
                "no key: the key id is missing",
            ),
        ] {
            let refused = run(&command).unwrap_err();
            assert!(matches!(refused, KeyFileError::Command { .. }));
            let told = refused.to_string();
            assert!(told.contains(wanted), "{command}: {told}");
        }
        assert!(KeySource::Command(cat).keeper().is_none());
        assert!(KeySource::Given(path.clone()).keeper().is_none());
        assert!(KeySource::File(path).keeper().is_some());
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let begun = Instant::now();
        let refused = from_command("exec sleep 600", Duration::from_millis(200)).unwrap_err();
        assert!(matches!(refused, KeyFileError::Command { .. }));
        assert!(begun.elapsed() < Duration::from_secs(300));
    }
}
