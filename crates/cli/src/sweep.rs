//! `emberkeep sweep`: free what no backup needs any more.

use clap::Args;
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::output::{Output, OutputArgs};
use crate::task::succeeded;
use crate::wait::{self, WaitArgs};

/// Options of `sweep`.
#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Runs `sweep`.
pub(crate) async fn run(args: SweepArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let id = connection.native().sweep().await?;
    if !args.wait.wait {
        return output.done(
            &format!("sweep begun as task {id}"),
            id.as_str(),
            &json!({"task_id": id, "done": false}),
        );
    }
    let task = wait::task(&connection, &id, args.wait.patience()).await?;
    succeeded(&task)?;
    output.done(
        "swept: what no backup needs has been freed",
        id.as_str(),
        &task,
    )
}
