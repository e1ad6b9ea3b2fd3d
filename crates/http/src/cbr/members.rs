//! Sharing backups (`cbr-v3.md §2.7`).

use std::cmp::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use emberkeep_wire::cbr as wire;
use emberkeep_wire::cbr::{MemberSort, Order};

use super::edge::{Call, cut, keyed, list as list_of, read};
use super::refusal::Refusal;
use crate::App;

pub(super) async fn add(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::ask::NewMembers::read).await?;
    let projects = asked.members.into_iter().map(|id| id.0).collect();
    let made = app.service.add_members(&call.caller, id, projects).await?;
    let members: Vec<_> = made.iter().map(wire::Member::of).collect();
    list_of(&members, members.len() as u64)
}

pub(super) async fn list(State(app): State<App>, mut call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = wire::MemberList::parse(&call.query()?)?;
    let mut found = app.service.members(&call.caller, id).await?;
    found.retain(|member| {
        asked
            .dest_project_id
            .as_ref()
            .is_none_or(|project| member.dest_project_id.as_str() == project)
            && asked.status.is_none_or(|status| member.status == status)
            && asked.vault_id.is_none_or(|vault| member.vault_id == Some(vault))
            // There are no images of backups here.
            && asked.image_id.is_none()
    });
    found.sort_by(|one, other| {
        let keys = asked.sort.iter().map(|(key, order)| {
            let by = match key {
                MemberSort::CreatedAt => one.created_at.cmp(&other.created_at),
                MemberSort::UpdatedAt => one.updated_at.cmp(&other.updated_at),
                MemberSort::Status => one.status.as_str().cmp(other.status.as_str()),
                MemberSort::DestProjectId => one.dest_project_id.cmp(&other.dest_project_id),
                MemberSort::Id => one.id.cmp(&other.id),
            };
            match order {
                Order::Ascending => by,
                Order::Descending => by.reverse(),
            }
        });
        keys.fold(Ordering::Equal, Ordering::then)
    });
    let count = found.len();
    let members: Vec<_> = cut(found, &asked.page, |member| member.id)
        .iter()
        .map(wire::Member::of)
        .collect();
    list_of(&members, count as u64)
}

pub(super) async fn show(State(app): State<App>, call: Call) -> Result<Response, Refusal> {
    let member = app
        .service
        .member(&call.caller, call.id()?, call.name())
        .await?;
    keyed(&wire::Member::of(&member))
}

pub(super) async fn answer(
    State(app): State<App>,
    call: Call,
    body: Body,
) -> Result<Response, Refusal> {
    let id = call.id()?;
    let asked = read(body, wire::request::member_answer).await?;
    let member = app
        .service
        .answer_member(&call.caller, id, call.name(), asked.status, asked.vault_id)
        .await?;
    keyed(&wire::Member::of(&member))
}

pub(super) async fn delete(State(app): State<App>, call: Call) -> Result<StatusCode, Refusal> {
    app.service
        .delete_member(&call.caller, call.id()?, call.name())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
