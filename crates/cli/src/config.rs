//! `emberkeep config`: what the service would do with its configuration.

use std::path::Path;

use clap::{Args, Subcommand};
use emberkeep_server::{Config, IdentityConfig, NbdListen};
use serde_json::{Value, json};

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
    /// Validate the configuration file, variables and flags, and print the settings in force
    Check(ServiceArgs),
}

/// Runs `config`.
pub(crate) fn run(args: ConfigArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let Verb::Check(service) = args.verb;
    let config = service.load(connect)?;
    let settings = settings(&config);
    let width = settings.iter().map(|(key, _)| key.len()).max();
    let width = width.unwrap_or_default();
    let lines = settings
        .iter()
        .map(|(key, value)| format!("\n  {key:width$}  {}", in_words(value)));
    let words = format!("the configuration is valid{}", lines.collect::<String>());
    let json: serde_json::Map<String, Value> = settings
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect();
    output.done(&words, "valid", &json)
}

/// Lists what is in force by the keys of the file; nothing of it is secret.
fn settings(config: &Config) -> Vec<(&'static str, Value)> {
    let whole = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let listen: Vec<_> = config.listen.iter().map(ToString::to_string).collect();
    let proxies: Vec<_> = config
        .trusted_proxies
        .iter()
        .map(ToString::to_string)
        .collect();
    let replicas: Vec<_> = config.replicas.iter().map(|to| &to.region).collect();
    let identity = match &config.identity {
        IdentityConfig::BuiltIn => "built-in".to_owned(),
        IdentityConfig::Keystone(keystone) => format!("keystone {}", keystone.auth_url),
    };
    let nbd = config.nbd.as_ref().map(|nbd| match &nbd.listen {
        NbdListen::Tcp(address) => address.to_string(),
        NbdListen::Unix(path) => path.display().to_string(),
    });
    vec![
        ("data_dir", json!(whole(&config.data_dir))),
        ("listen", json!(listen)),
        ("public_endpoint", json!(config.public_endpoint)),
        ("trusted_proxies", json!(proxies)),
        ("idle_secs", json!(config.idle_secs)),
        ("region", json!(config.region)),
        ("identity", json!(identity)),
        ("token_lifetime_secs", json!(config.token_lifetime_secs)),
        (
            "master_key_file",
            json!(config.master_key_file.as_deref().map(whole)),
        ),
        ("master_key_command", json!(config.master_key_command)),
        ("workers", json!(config.workers)),
        ("lease_secs", json!(config.lease_secs)),
        ("task_timeout_hours", json!(config.task_timeout_hours)),
        ("grace_secs", json!(config.grace_secs)),
        ("sweep_delay_secs", json!(config.sweep_delay_secs)),
        (
            "policy_min_gap_minutes",
            json!(config.policy_min_gap_minutes),
        ),
        ("verify_gib_a_day", json!(config.verify_gib_a_day)),
        ("catalog_copy_secs", json!(config.catalog.copy_secs)),
        ("catalog_copies", json!(config.catalog.copies)),
        ("low_water_mib", json!(config.low_water_mib)),
        ("reserve_mib", json!(config.reserve_mib)),
        ("store_write_mib_s", json!(config.store_write_mib_s)),
        ("store_read_mib_s", json!(config.store_read_mib_s)),
        ("count_dependents", json!(config.count_dependents)),
        ("turbo_roots", json!(config.turbo_roots)),
        ("nbd_listen", json!(nbd)),
        ("replicas", json!(replicas)),
    ]
}

fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if !items.is_empty() => {
            items.iter().map(in_words).collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Array(_) => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_server::ConfigArgs;

    use super::*;

    #[test]
    fn everything_in_force_is_told_by_its_key() {
        let variables = [
            ("EMBERKEEP_DATA_DIR", "/srv/emberkeep"),
            ("EMBERKEEP_STORE_WRITE_MIB_S", "80"),
            ("EMBERKEEP_LISTEN", "127.0.0.1:1,127.0.0.1:2"),
        ];
        let env = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_sources(ConfigArgs::default(), env).unwrap();
        let told: Vec<_> = settings(&config)
            .iter()
            .map(|(key, value)| format!("{key} = {}", in_words(value)))
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
