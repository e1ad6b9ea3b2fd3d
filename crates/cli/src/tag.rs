//! `emberkeep tag`: words on vaults, and vaults by their words.

use clap::{Args, Subcommand};
use emberkeep_sdk::cbr::{ProjectTag, Tag, TagCondition, TagQuery, TaggedVault};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column};

const EXAMPLES: &str = "\
Examples:
  emberkeep tag set disks team=a env=prod
  emberkeep tag list disks
  emberkeep tag list                 every key in use, with its values
  emberkeep tag find env=prod team   vaults with env=prod and any value of team
  emberkeep tag delete disks env";

/// Options of `tag`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TagArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List a vault's tags, or those of all vaults
    List {
        /// The vault's name or id
        vault: Option<String>,
    },
    /// Add or replace tags of a vault
    Set {
        /// The vault's name or id
        vault: String,
        /// The tags
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = tag)]
        tags: Vec<Tag>,
    },
    /// Remove tags from a vault; missing tags are ignored
    Delete {
        /// The vault's name or id
        vault: String,
        /// Keys of the tags
        #[arg(required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Find vaults that have all given tags; without tags, all vaults
    Find {
        /// Tags; a key without a value matches any value
        #[arg(value_name = "KEY[=VALUE]")]
        tags: Vec<String>,
    },
}

const TAGS: &[Column<Tag>] = &[
    column("key", "Key", |tag| tag.key.clone()),
    column("value", "Value", |tag| tag.value.clone()),
];

const IN_USE: &[Column<ProjectTag>] = &[
    column("key", "Key", |tag| tag.key.clone()),
    column("values", "Values", |tag| tag.values.join(", ")),
];

const FOUND: &[Column<TaggedVault>] = &[
    column("resource_id", "ID", |found| found.resource_id.to_string()),
    column("resource_name", "Name", |found| found.resource_name.clone()),
    column("tags", "Tags", |found| {
        let tags: Vec<_> = found
            .tags
            .iter()
            .map(|tag| format!("{}={}", tag.key, tag.value))
            .collect();
        tags.join(", ")
    }),
];

/// Runs `tag`.
pub(crate) async fn run(args: TagArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.verb {
        Verb::List { vault: Some(vault) } => {
            let id = lookup::vault(&connection, &vault).await?.id;
            output.list(TAGS, &api.tags(&id).await?)
        }
        Verb::List { vault: None } => output.list(IN_USE, &api.project_tags().await?),
        Verb::Set { vault, tags } => {
            let id = lookup::vault(&connection, &vault).await?.id;
            api.set_tags(&id, &tags).await?;
            output.list(TAGS, &api.tags(&id).await?)
        }
        Verb::Delete {
            vault,
            keys,
            dry_run,
        } => {
            let id = lookup::vault(&connection, &vault).await?.id;
            if dry_run.dry_run {
                let mut has = api.tags(&id).await?;
                has.retain(|tag| keys.contains(&tag.key));
                let doomed: Vec<_> = has
                    .iter()
                    .map(|tag| Doomed::new(&tag.key, format!("'{}' of vault {id}", tag.value)))
                    .collect();
                return dry_run::tell(&output, "tag", &doomed);
            }
            let plain: Vec<_> = keys.iter().map(String::as_str).collect();
            api.delete_tags(&id, &plain).await?;
            let words = format!("vault {id} has no tags {} any more", keys.join(", "));
            output.done(
                &words,
                &keys.join("\n"),
                &json!({"vault_id": id, "deleted": keys}),
            )
        }
        Verb::Find { tags } => {
            let query = TagQuery {
                tags: tags.iter().map(|text| condition(text)).collect(),
                ..TagQuery::default()
            };
            output.list(FOUND, &api.tagged_vaults(&query).await?)
        }
    }
}

fn tag(text: &str) -> Result<Tag, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Tag {
            key: key.to_owned(),
            value: value.to_owned(),
        }),
        _ => Err("a tag is KEY=VALUE".to_owned()),
    }
}

fn condition(text: &str) -> TagCondition {
    match text.split_once('=') {
        Some((key, value)) => TagCondition {
            key: key.to_owned(),
            values: vec![value.to_owned()],
        },
        None => TagCondition {
            key: text.to_owned(),
            values: Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read() {
        assert_eq!(
            tag("a=b=c").map(|tag| (tag.key, tag.value)),
            Ok(("a".to_owned(), "b=c".to_owned()))
        );
        assert_eq!(tag("a=").map(|tag| tag.value), Ok(String::new()));
        assert!(tag("a").is_err());
        assert!(tag("=b").is_err());
        assert!(condition("a").values.is_empty());
        assert_eq!(condition("a=").values, [""]);
    }
}
