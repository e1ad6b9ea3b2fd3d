//! From what people type, a name or an id, to the one thing it means.

use emberkeep_sdk::block_storage::{
    Backup, BackupQuery, Snapshot, SnapshotQuery, Volume, VolumeQuery,
};
use emberkeep_sdk::cbr::{
    self, AddResource, Instance, Policy, PolicyQuery, ProtectableQuery, Vault, VaultQuery, word,
};
use emberkeep_sdk::{
    BackupId, Connection, PolicyId, Project, ProjectId, ResourceId, SdkError, SnapshotId, VaultId,
    VolumeId,
};

use crate::error::CliError;
use crate::output::time;

/// What has an id and may have a name.
pub(crate) trait Nameable {
    const NOUN: &'static str;

    fn id(&self) -> &str;
    fn name(&self) -> Option<&str>;
    fn created_at(&self) -> Option<&str>;
}

macro_rules! nameable {
    ($($kind:ty = $noun:literal, $name:expr, $made:expr;)*) => {$(
        impl Nameable for $kind {
            const NOUN: &'static str = $noun;

            fn id(&self) -> &str {
                self.id.as_str()
            }

            fn name(&self) -> Option<&str> {
                let name: fn(&Self) -> Option<&str> = $name;
                name(self)
            }

            fn created_at(&self) -> Option<&str> {
                let made: fn(&Self) -> Option<&str> = $made;
                made(self)
            }
        }
    )*};
}

nameable! {
    Volume = "volume", |item| item.name.as_deref(), |item| Some(item.created_at.as_ref()?.as_str());
    Snapshot = "snapshot", |item| item.name.as_deref(), |item| Some(item.created_at.as_ref()?.as_str());
    Backup = "backup", |item| item.name.as_deref(), |item| Some(item.created_at.as_ref()?.as_str());
    Vault = "vault", |item| Some(&item.name), |item| Some(item.created_at.as_str());
    cbr::Backup = "backup", |item| Some(&item.name), |item| Some(item.created_at.as_str());
    Instance = "protectable", |item| Some(&item.name), |_| None;
    Project = "project", |item| Some(&item.name), |_| None;
    Policy = "policy", |item| Some(&item.name), |item| Some(item.trigger.properties.start_time.as_ref()?.as_str());
}

/// Finds a volume by id or name.
pub(crate) async fn volume(connection: &Connection, wanted: &str) -> Result<Volume, CliError> {
    let api = connection.block_storage();
    if is_id(wanted)
        && let Some(found) = there(api.volume(&VolumeId::from(wanted)).await)?
    {
        return Ok(found);
    }
    choose(
        wanted,
        api.volumes(&VolumeQuery::named(wanted)).all().await?,
    )
}

/// Finds volumes by ids or names.
pub(crate) async fn volumes(
    connection: &Connection,
    wanted: &[String],
) -> Result<Vec<VolumeId>, CliError> {
    let mut ids = Vec::with_capacity(wanted.len());
    for name in wanted {
        ids.push(volume(connection, name).await?.id);
    }
    Ok(ids)
}

/// Finds a snapshot by id or name.
pub(crate) async fn snapshot(connection: &Connection, wanted: &str) -> Result<Snapshot, CliError> {
    let api = connection.block_storage();
    if is_id(wanted)
        && let Some(found) = there(api.snapshot(&SnapshotId::from(wanted)).await)?
    {
        return Ok(found);
    }
    choose(
        wanted,
        api.snapshots(&SnapshotQuery::named(wanted)).all().await?,
    )
}

/// Finds a backup by id or name.
pub(crate) async fn backup(connection: &Connection, wanted: &str) -> Result<Backup, CliError> {
    let api = connection.block_storage();
    if is_id(wanted)
        && let Some(found) = there(api.backup(&BackupId::from(wanted)).await)?
    {
        return Ok(found);
    }
    choose(
        wanted,
        api.backups(&BackupQuery::named(wanted)).all().await?,
    )
}

/// Finds a vault by id or name.
pub(crate) async fn vault(connection: &Connection, wanted: &str) -> Result<Vault, CliError> {
    let api = connection.cbr();
    if is_id(wanted)
        && let Some(found) = there(api.vault(&VaultId::from(wanted)).await)?
    {
        return Ok(found);
    }
    choose(wanted, api.vaults(&VaultQuery::named(wanted)).all().await?)
}

/// Finds the id of what a vault of this kind may hold, by id or name.
pub(crate) async fn resource(
    connection: &Connection,
    kind: &word::ObjectType,
    wanted: &str,
) -> Result<ResourceId, CliError> {
    if *kind == word::ObjectType::Disk {
        return Ok(volume(connection, wanted).await?.id.into());
    }
    // What has no such id is told by whoever is asked to do something with it.
    if is_id(wanted) {
        return Ok(ResourceId::from(wanted));
    }
    let query = ProtectableQuery {
        name: Some(wanted.to_owned()),
        ..ProtectableQuery::default()
    };
    let named = connection.cbr().protectables(kind, &query).all().await?;
    if !named.iter().any(|instance| instance.name == wanted) {
        let noun = match kind {
            word::ObjectType::Server => "server",
            word::ObjectType::Turbo => "file system",
            other => other.as_str(),
        };
        return Err(
            CliError::not_found(format!("no {noun} has the name or id '{wanted}'")).hint(format!(
                "`emberkeep protectable list --kind {kind}` shows what there is"
            )),
        );
    }
    Ok(choose(wanted, named)?.id)
}

/// Finds what a vault of this kind may hold, by ids or names.
pub(crate) async fn resources(
    connection: &Connection,
    kind: &word::ObjectType,
    wanted: &[String],
) -> Result<Vec<AddResource>, CliError> {
    let as_type = match kind {
        word::ObjectType::Server => word::ResourceType::Server,
        word::ObjectType::Turbo => word::ResourceType::Turbo,
        _ => word::ResourceType::Volume,
    };
    let mut found = Vec::with_capacity(wanted.len());
    for name in wanted {
        let id = resource(connection, kind, name).await?;
        found.push(AddResource::new(id, as_type.clone()));
    }
    Ok(found)
}

/// Finds a policy by id or name.
pub(crate) async fn policy(connection: &Connection, wanted: &str) -> Result<Policy, CliError> {
    let api = connection.cbr();
    if is_id(wanted)
        && let Some(found) = there(api.policy(&PolicyId::from(wanted)).await)?
    {
        return Ok(found);
    }
    choose(wanted, api.policies(&PolicyQuery::default()).all().await?)
}

/// Finds the id of a project: a name is looked up where one may.
pub(crate) async fn project(connection: &Connection, wanted: &str) -> Result<ProjectId, CliError> {
    if is_id(wanted) {
        return Ok(ProjectId::from(wanted));
    }
    let named = match connection.identity().projects(Some(wanted)).await {
        Ok(found) => found,
        // Other clouds' ids may look otherwise, and who is no administrator sees no list.
        Err(error)
            if error
                .refusal()
                .is_some_and(|it| matches!(it.status, 401 | 403)) =>
        {
            return Err(CliError::refused(format!(
                "'{wanted}' is no project's id, and only administrators may look for names"
            ))
            .hint("give the project's id: its members see it with `openstack token issue`"));
        }
        Err(error) => return Err(error.into()),
    };
    choose(wanted, named).map(|found| ProjectId::from(found.id))
}

/// Finds the ids of projects.
pub(crate) async fn projects(
    connection: &Connection,
    wanted: &[String],
) -> Result<Vec<ProjectId>, CliError> {
    let mut ids = Vec::with_capacity(wanted.len());
    for name in wanted {
        ids.push(project(connection, name).await?);
    }
    Ok(ids)
}

fn there<T>(answer: Result<T, SdkError>) -> Result<Option<T>, CliError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Tells whether text has the form of an id, with dashes or without.
pub(crate) fn is_id(text: &str) -> bool {
    let digits = text.bytes().filter(|b| *b != b'-').count();
    digits == 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

/// Takes the only candidate that bears the name; services may filter more loosely than by equality.
pub(crate) fn choose<T: Nameable>(wanted: &str, candidates: Vec<T>) -> Result<T, CliError> {
    let mut named: Vec<T> = candidates
        .into_iter()
        .filter(|item| item.name() == Some(wanted))
        .collect();
    match (named.pop(), named.is_empty()) {
        (Some(only), true) => Ok(only),
        (None, _) => Err(CliError::not_found(format!(
            "no {} has the name or id '{wanted}'",
            T::NOUN
        ))
        .hint(format!("`emberkeep {} list` shows what there is", T::NOUN))),
        (Some(last), false) => {
            named.push(last);
            let list: Vec<_> = named
                .iter()
                .map(|item| match item.created_at() {
                    Some(made) => format!("  {}  made {}", item.id(), time(Some(made))),
                    None => format!("  {}", item.id()),
                })
                .collect();
            Err(CliError::refused(format!(
                "{} {} are called '{wanted}'",
                named.len(),
                plural(T::NOUN)
            ))
            .hint(format!(
                "give the id of the one you mean:\n{}",
                list.join("\n")
            )))
        }
    }
}

/// Says how many there are.
pub(crate) fn count(number: impl TryInto<u64>, noun: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("1 {noun}"),
        Ok(number) => format!("{number} {}", plural(noun)),
        Err(_) => plural(noun),
    }
}

/// Returns the noun for several.
pub(crate) fn plural(noun: &str) -> String {
    match noun.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ExitStatus;

    fn volume(id: &str, name: &str) -> Volume {
        serde_json::from_value(
            json!({"id": id, "name": name, "size": 1, "status": "available",
            "created_at": "2026-03-01T12:00:00.000000"}),
        )
        .unwrap()
    }

    #[test]
    fn only_an_exact_and_single_name_will_do() {
        let all = || {
            vec![
                volume("1", "a"),
                volume("2", "ab"),
                volume("3", "b"),
                volume("4", "b"),
            ]
        };
        assert_eq!(choose("a", all()).unwrap().id.as_str(), "1");
        let none = choose("c", all()).unwrap_err();
        assert_eq!(none.status(), ExitStatus::NotFound);
        let many = choose("b", all()).unwrap_err();
        assert_eq!(many.status(), ExitStatus::Refused);
        insta::assert_snapshot!(many, @r"
        2 volumes are called 'b'
          give the id of the one you mean:
          3  made 2026-03-01 12:00:00
          4  made 2026-03-01 12:00:00
        ");
    }

    #[test]
    fn one_is_not_several() {
        assert_eq!(count(1_usize, "backup"), "1 backup");
        assert_eq!(count(0_u32, "backup"), "0 backups");
        assert_eq!(count(2_u64, "policy"), "2 policies");
    }

    #[test]
    fn ids_are_told_from_names() {
        for (text, want) in [
            ("2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f60", true),
            ("2f1d7b1e59a44b509d5c1c2b3d4e5f60", true),
            ("disk-a", false),
            ("", false),
        ] {
            assert_eq!(is_id(text), want, "{text}");
        }
    }
}
