//! Logs go to standard error, as `EMBERKEEP_LOG` says; standard output belongs to commands.

mod writer;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

use crate::error::CliError;
use writer::LossyLog;

/// The forms a log line can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Options of logging.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct LogArgs {
    /// Format of log lines on standard error; EMBERKEEP_LOG sets the level, e.g. `debug`
    #[arg(long, value_enum, default_value_t, env = "EMBERKEEP_LOG_FORMAT")]
    log_format: LogFormat,
}

impl LogArgs {
    /// Starts logging: `EMBERKEEP_LOG`, or else `default`.
    pub(crate) fn start(self, default: &str) -> Result<(), CliError> {
        let wanted = std::env::var("EMBERKEEP_LOG").unwrap_or_default();
        let wanted = if wanted.is_empty() { default } else { &wanted };
        let filter = EnvFilter::try_new(wanted).map_err(|cause| {
            CliError::failed_by(format_args!("EMBERKEEP_LOG='{wanted}'"), &cause)
        })?;
        let lines = tracing_subscriber::fmt()
            .with_env_filter(filter)
            // Without these two a line that cannot be written panics, wherever it comes from.
            .log_internal_errors(false)
            .with_writer(LossyLog::new(std::io::stderr()));
        let started = match self.log_format {
            LogFormat::Text => lines.with_ansi(false).try_init(),
            LogFormat::Json => lines.json().try_init(),
        };
        started.map_err(|cause| CliError::failed_by("starting the log", cause.as_ref()))
    }
}
