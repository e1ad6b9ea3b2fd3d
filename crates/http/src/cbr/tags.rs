//! Tags of vaults and vaults by their tags (`cbr-v3.md §2.8`).

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_model::{Tag, VaultId};
use emberkeep_service::query::VaultQuery;
use emberkeep_wire::cbr as wire;

use super::edge::{Call, answer, keyed, read};
use super::refusal::Refusal;
use super::vaults::shown;
use crate::App;

pub(super) async fn list(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let tags = app.service.vault_tags(&call.caller, call.id()?).await?;
    keyed(&tags)
}

pub(super) async fn set(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::ask::TagSet::read).await?;
    app.service
        .set_vault_tags(&call.caller, id, vec![asked.tag])
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn act(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<StatusCode, Refusal> {
    let id: VaultId = call.id()?;
    match read(body, wire::ask::TagsAction::read).await? {
        wire::ask::TagsAction::Create(tags) => {
            app.service.set_vault_tags(&call.caller, id, tags).await?;
        }
        wire::ask::TagsAction::Delete(keys) => {
            app.service.clear_vault_tags(&call.caller, id, keys).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service
        .delete_vault_tag(&call.caller, call.id()?, call.name())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn of_project(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let found = app.service.project_tags(&call.caller).await?;
    let tags: Vec<_> = found
        .into_iter()
        .map(|(key, values)| wire::ProjectTag {
            key,
            values: values.into_iter().collect(),
        })
        .collect();
    keyed(&tags)
}

pub(super) async fn find(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let asked = read(body, wire::TagQuery::parse).await?;
    let query = VaultQuery {
        object_type: asked.object_type,
        ..VaultQuery::default()
    };
    let mut found = app.service.vaults(&call.caller, query).await?.items;
    found.retain(|view| matches(&asked, &view.vault.name, &view.vault.tags));
    let total_count = found.len() as u64;
    if asked.count_only {
        return answer(&wire::TaggedCount { total_count });
    }
    let skip = usize::try_from(asked.offset).unwrap_or(usize::MAX);
    let resources = found
        .iter()
        .skip(skip)
        .take(asked.limit as usize)
        .map(|view| wire::TaggedVault {
            resource_id: view.vault.id.into(),
            resource_name: view.vault.name.clone(),
            tags: view.vault.tags.clone(),
            resource_detail: wire::TaggedVaultDetail { vault: shown(view) },
        })
        .collect();
    answer(&wire::TaggedVaults {
        resources,
        total_count,
    })
}

/// Tells whether a vault of this name with these tags is one that was asked for.
fn matches(asked: &wire::TagQuery, name: &str, tags: &[Tag]) -> bool {
    if asked.never {
        return false;
    }
    let named = match asked.name.as_deref() {
        None => true,
        Some("") => name.is_empty(),
        Some(part) => name.contains(part),
    };
    if asked.without_any_tag {
        return named && tags.is_empty();
    }
    let holds = |condition: &wire::ask::TagCondition| {
        tags.iter().any(|tag| {
            tag.key == condition.key
                && (condition.values.is_empty()
                    || condition.values.iter().any(|value| fits(value, &tag.value)))
        })
    };
    named
        && asked.tags.iter().all(holds)
        && (asked.tags_any.is_empty() || asked.tags_any.iter().any(holds))
        && (asked.not_tags.is_empty() || !asked.not_tags.iter().all(holds))
        && !asked.not_tags_any.iter().any(holds)
}

fn fits(wanted: &str, value: &str) -> bool {
    match wanted.strip_prefix('*') {
        Some(part) => value.contains(part),
        None => value == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_means_what_the_reference_says() {
        let tags: Vec<Tag> = [("env", "prod"), ("tier", "web-1")]
            .into_iter()
            .map(|(key, value)| Tag {
                key: key.into(),
                value: value.into(),
            })
            .collect();
        let prod = r#"{"key":"env","values":["prod","stage"]}"#;
        let test = r#"{"key":"env","values":["test"]}"#;
        let tier = r#"{"key":"tier","values":[]}"#;
        let like = r#"{"key":"tier","values":["*eb-"]}"#;
        let none = r#"{"key":"owner","values":[]}"#;
        for (fields, want) in [
            (String::new(), true),
            (format!(r#","tags":[{prod},{tier}]"#), true),
            (format!(r#","tags":[{prod},{none}]"#), false),
            (format!(r#","tags":[{like}]"#), true),
            (format!(r#","tags_any":[{test},{none}]"#), false),
            (format!(r#","tags_any":[{none},{tier}]"#), true),
            (format!(r#","not_tags":[{prod},{none}]"#), true),
            (format!(r#","not_tags":[{prod},{tier}]"#), false),
            (format!(r#","not_tags_any":[{prod},{none}]"#), false),
            (format!(r#","not_tags_any":[{test},{none}]"#), true),
            (
                format!(r#","tags":[{prod}],"not_tags_any":[{tier}]"#),
                false,
            ),
            (r#","without_any_tag":true"#.to_owned(), false),
            (r#","cloud_type":"public""#.to_owned(), true),
            (r#","cloud_type":"hybrid""#.to_owned(), false),
            (
                r#","matches":[{"key":"resource_name","value":"isk"}]"#.to_owned(),
                true,
            ),
            (
                r#","matches":[{"key":"resource_name","value":""}]"#.to_owned(),
                false,
            ),
        ] {
            let body = format!(r#"{{"action":"filter"{fields}}}"#);
            let asked = wire::TagQuery::parse(body.as_bytes()).expect(&body);
            assert_eq!(matches(&asked, "disks", &tags), want, "{body}");
        }
        let bare = wire::TagQuery::parse(br#"{"action":"count","without_any_tag":true}"#);
        assert!(matches(&bare.expect("is well-formed"), "disks", &[]));
    }
}
