//! Which fields an answer has in which microversion, for every view and every microversion from 3.0 to 3.71
//! (`cinder-backup.md §2.3`, §2.7, §2.8): one table, told by the answers themselves.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use emberkeep_model::{
    AttachmentId, Message, MessageAction, MessageDetail, MessageId, Role, Timestamp,
};
use insta::assert_snapshot;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::cinder::tenant::{Tenant, text};

/// The last microversion.
const LAST: u16 = 71;

/// A view: what it is called, the path behind the project, and where in the answer it stands.
type View = (&'static str, String, &'static str);

/// Lists the names of an object's members; those that hold members by name are told with them.
fn fields(shown: &Value) -> BTreeSet<String> {
    let object = shown.as_object().expect("is an object");
    object.keys().cloned().collect()
}

/// What one microversion answers: fields, or a refusal's code.
type Seen = Result<BTreeSet<String>, u16>;

/// Tells how the fields change from one microversion to the next.
fn told(at: &[Seen]) -> String {
    let mut told = String::new();
    let mut before: Option<&Seen> = None;
    for (minor, now) in at.iter().enumerate() {
        let line = match (before, now) {
            (Some(before), now) if before == now => continue,
            (_, Err(code)) => code.to_string(),
            (Some(Ok(before)), Ok(now)) => {
                let more = now.difference(before).map(|field| format!("+{field}"));
                let less = before.difference(now).map(|field| format!("-{field}"));
                more.chain(less).collect::<Vec<_>>().join(" ")
            }
            (None | Some(Err(_)), Ok(now)) => now.iter().cloned().collect::<Vec<_>>().join(" "),
        };
        told.push_str(&format!("    3.{minor}: {line}\n"));
        before = Some(now);
    }
    told
}

async fn at_every_microversion(tenant: &Tenant, token: &str, view: &View) -> String {
    let (_, path, place) = view;
    let mut at = Vec::new();
    for minor in 0..=LAST {
        let answer = tenant.ask_as(token, "GET", path, minor, Value::Null).await;
        at.push(if answer.status == StatusCode::OK {
            let body = answer.json();
            let shown = body.pointer(place);
            let shown = shown.unwrap_or_else(|| panic!("{path} has no {place}: {body}"));
            Ok(fields(shown))
        } else {
            Err(answer.status.as_u16())
        });
    }
    told(&at)
}

#[tokio::test]
async fn every_field_comes_at_its_microversion() {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    let volume = tenant.volume("v1").await;
    let made = tenant
        .ask(
            "POST",
            "snapshots",
            0,
            json!({"snapshot": {"volume_id": volume, "name": "s1"}}),
        )
        .await;
    let snapshot = text(&made.json()["snapshot"]["id"]);
    tenant
        .wait(&format!("snapshots/{snapshot}"), "available")
        .await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let kind = text(&tenant.get("types/default").await["volume_type"]["id"]);
    let body =
        json!({"attachment": {"volume_uuid": volume, "instance_uuid": Uuid::new_v4().to_string()}});
    let made = tenant.ask("POST", "attachments", 27, body).await;
    let attachment: AttachmentId = text(&made.json()["attachment"]["id"])
        .parse()
        .expect("is an id");
    let message = Message {
        id: MessageId(Uuid::new_v4()),
        project_id: tenant.project.id.clone(),
        request_id: "req-1".to_owned(),
        resource_type: "VOLUME_BACKUP".to_owned(),
        resource_id: backup.clone(),
        action: MessageAction::CreateBackup,
        detail: MessageDetail::CreateDriverError,
        created_at: Timestamp(0),
        expires_at: Timestamp(i64::MAX / 2),
        revision: 0,
    };
    let row = emberkeep_catalog::Row::Message(message.clone());
    let change = vec![emberkeep_catalog::Change::Insert(row)];
    tenant.house.catalog.apply(change).await.expect("is put");

    let project = tenant.project.id.to_string();
    let views: Vec<View> = vec![
        ("backup, shown", format!("backups/{backup}"), "/backup"),
        (
            "backup, in a detailed list",
            "backups/detail".into(),
            "/backups/0",
        ),
        ("backup, in a short list", "backups".into(), "/backups/0"),
        ("backups, a full page", "backups?limit=1".into(), ""),
        (
            "backups, counted",
            "backups?with_count=True&all_tenants=False".into(),
            "",
        ),
        ("volume, shown", format!("volumes/{volume}"), "/volume"),
        (
            "volume, in a detailed list",
            "volumes/detail".into(),
            "/volumes/0",
        ),
        ("volume, in a short list", "volumes".into(), "/volumes/0"),
        (
            "volumes in sum",
            "volumes/summary".into(),
            "/volume-summary",
        ),
        (
            "snapshot, shown",
            format!("snapshots/{snapshot}"),
            "/snapshot",
        ),
        (
            "snapshot, in a detailed list",
            "snapshots/detail".into(),
            "/snapshots/0",
        ),
        (
            "snapshot, in a short list",
            "snapshots".into(),
            "/snapshots/0",
        ),
        (
            "attachment, shown",
            format!("attachments/{attachment}"),
            "/attachment",
        ),
        (
            "attachment, in a detailed list",
            "attachments/detail".into(),
            "/attachments/0",
        ),
        (
            "attachment, in a short list",
            "attachments".into(),
            "/attachments/0",
        ),
        ("type, shown", format!("types/{kind}"), "/volume_type"),
        ("type, in a list", "types".into(), "/volume_types/0"),
        ("limits", "limits".into(), "/limits"),
        ("limits of things", "limits".into(), "/limits/absolute"),
        (
            "quota set",
            format!("os-quota-sets/{project}"),
            "/quota_set",
        ),
        (
            "quota set, one line with usage",
            format!("os-quota-sets/{project}?usage=True"),
            "/quota_set/backups",
        ),
        (
            "quota set, defaults",
            format!("os-quota-sets/{project}/defaults"),
            "/quota_set",
        ),
        (
            "quota class",
            "os-quota-class-sets/default".into(),
            "/quota_class_set",
        ),
        (
            "service of backups",
            "os-services?binary=cinder-backup".into(),
            "/services/0",
        ),
        (
            "service of volumes",
            "os-services?binary=cinder-volume".into(),
            "/services/0",
        ),
        ("pool", "scheduler-stats/get_pools".into(), "/pools/0"),
        (
            "pool, in detail",
            "scheduler-stats/get_pools?detail=True".into(),
            "/pools/0/capabilities",
        ),
        (
            "message, shown",
            format!("messages/{}", message.id),
            "/message",
        ),
        ("message, in a list", "messages".into(), "/messages/0"),
        (
            "zone",
            "os-availability-zone".into(),
            "/availabilityZoneInfo/0",
        ),
        (
            "filters",
            "resource_filters?resource=backup".into(),
            "/resource_filters/0",
        ),
    ];
    let mut table = String::new();
    for view in &views {
        let member = at_every_microversion(&tenant, &tenant.member, view).await;
        let root = at_every_microversion(&tenant, &admin, view).await;
        let who = if member == root {
            "everybody"
        } else {
            "members"
        };
        table.push_str(&format!("{}\n  {who}\n{member}", view.0));
        if member != root {
            table.push_str(&format!("  administrators\n{root}"));
        }
    }
    assert_snapshot!("fields_by_microversion", table);
}
