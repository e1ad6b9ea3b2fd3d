//! `emberkeep config`: what the service would do with its configuration.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::output::{Output, OutputArgs};
use crate::serve::ServiceArgs;

/// Options of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Read file, variables and flags as `serve` would, and explain what is wrong
    Check(ServiceArgs),
}

/// Runs `config`.
pub(crate) fn run(args: ConfigArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let Verb::Check(settings) = args.verb;
    let config = settings.load(connect)?;
    let data_dir =
        std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let listen: Vec<String> = config.listen.iter().map(ToString::to_string).collect();
    let words = format!(
        "the configuration is valid\n  data directory  {}\n  listens on      {}\n  region          {}",
        data_dir.display(),
        listen.join(" "),
        config.region,
    );
    let json = json!({"data_dir": data_dir, "listen": listen, "region": config.region});
    output.done(&words, "valid", &json)
}
