//! What administrators do with backups: statuses set by hand, deletion by force, records, services.

use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use emberkeep_model::Role;
use emberkeep_service::Settings;
use serde_json::{Value, json};

use crate::cinder::tenant::{MISSING, Tenant, refused, text};
use crate::house::House;

async fn with_admin() -> (Tenant, String) {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    (tenant, admin)
}

#[tokio::test]
async fn a_status_is_set_by_hand_and_back() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    tenant.write(&volume, b"first").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let path = format!("backups/{backup}/action");
    let reset = |status: &str| json!({"os-reset_status": {"status": status}});
    let answer = tenant.ask("POST", &path, 0, reset("error")).await;
    refused(
        &answer,
        403,
        "forbidden",
        "Policy doesn't allow volume_extension:backup_admin_actions:reset_status to be performed.",
    );
    let answer = tenant
        .ask_as(&admin, "POST", &path, 0, reset("ERROR"))
        .await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::ACCEPTED, 0)
    );
    let shown = tenant.get(&format!("backups/{backup}")).await;
    assert_eq!(shown["backup"]["status"], "error");
    assert_eq!(
        shown["backup"]["fail_reason"],
        Value::Null,
        "a reset gives no reason"
    );
    let answer = tenant
        .ask_as(&admin, "POST", &path, 0, reset("available"))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    tenant.wait(&format!("backups/{backup}"), "available").await;
    let answer = tenant
        .ask(
            "POST",
            &format!("backups/{backup}/restore"),
            0,
            json!({"restore": {}}),
        )
        .await;
    let restored = text(&answer.json()["restore"]["volume_id"]);
    tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(tenant.bytes(&restored).await, b"first");

    for (body, message) in [
        (
            reset("restoring"),
            "Backup status: restoring is invalid, valid statuses are: ['available', 'error'].",
        ),
        (
            json!({"os-reset_status": {"status": "error"}, "x": 1}),
            "Malformed request body",
        ),
        (
            json!({"os-fly": null}),
            "There is no such action: os-fly. Verify the request body and Content-Type header and try again.",
        ),
    ] {
        let answer = tenant.ask_as(&admin, "POST", &path, 0, body).await;
        refused(&answer, 400, "badRequest", message);
    }
    let answer = tenant
        .ask_as(
            &admin,
            "POST",
            &format!("backups/{MISSING}/action"),
            0,
            reset("error"),
        )
        .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        &format!("Backup {MISSING} could not be found."),
    );
}

/// Nobody works in this house until it is told to, so that a backup can be caught being made.
#[tokio::test]
async fn a_backup_being_made_is_deleted_by_force_and_leaves_nothing() {
    let mut tenant = Tenant::in_house(House::idle(Settings::default()).await).await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    tenant.house.work();
    let volume = tenant.volume("v1").await;
    tenant.house.rest().await;
    let body = json!({"backup": {"volume_id": volume, "name": "b1"}});
    let answer = tenant.ask("POST", "backups", 0, body).await;
    let backup = text(&answer.json()["backup"]["id"]);
    let answer = tenant
        .ask("DELETE", &format!("backups/{backup}"), 0, Value::Null)
        .await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid backup: Backup status must be available or error",
    );
    let path = format!("backups/{backup}/action");
    let answer = tenant
        .ask_as(&admin, "POST", &path, 0, json!({"os-force_delete": {}}))
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let shown = tenant.get(&format!("backups/{backup}")).await;
    assert_eq!(shown["backup"]["status"], "deleting");
    tenant.house.work();
    tenant.wait_gone(&format!("backups/{backup}")).await;
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    let manifests = tenant.house.manifests(&tenant.project);
    assert_eq!(manifests, 0, "nothing is left of it");
    assert_eq!(
        tenant.get("limits").await["limits"]["absolute"]["totalBackupsUsed"],
        0
    );
}

#[tokio::test]
async fn a_record_goes_out_and_comes_in_under_another_id() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    tenant.write(&volume, b"first").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let export = format!("backups/{backup}/export_record");
    let answer = tenant.ask("GET", &export, 0, Value::Null).await;
    refused(
        &answer,
        403,
        "forbidden",
        "Policy doesn't allow backup:export-import to be performed.",
    );
    let answer = tenant.ask_as(&admin, "GET", &export, 0, Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK);
    let record = answer.json()["backup-record"].clone();
    assert!(text(&record["backup_service"]).starts_with("cinder.backup.drivers"));
    let plain = STANDARD
        .decode(text(&record["backup_url"]))
        .expect("is base64");
    let mut fields: Value = serde_json::from_slice(&plain).expect("is JSON");
    assert!(
        plain.starts_with(b"{\"driver_info\": {}, \"id\": \""),
        "in Cinder's order"
    );
    assert_eq!(fields["display_name"], "b1");
    assert_eq!(fields["volume_id"], volume.as_str());
    let import = |fields: &Value| {
        json!({"backup-record": {
            "backup_service": record["backup_service"],
            "backup_url": STANDARD.encode(fields.to_string()),
        }})
    };
    let send = |body: Value| tenant.ask_as(&admin, "POST", "backups/import_record", 0, body);
    let answer = send(import(&fields)).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid backup: Backup already exists in database.",
    );
    fields["id"] = json!(MISSING);
    fields["metadata"] = json!({"a": "b"});
    let answer = send(import(&fields)).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    assert_eq!(answer.json()["backup"]["id"], MISSING);
    let shown = tenant
        .wait(&format!("backups/{MISSING}"), "available")
        .await;
    assert_eq!(shown["name"], "b1");

    // The first goes; what the second shows stays until it goes too.
    tenant
        .ask("DELETE", &format!("backups/{backup}"), 0, Value::Null)
        .await;
    tenant.wait_gone(&format!("backups/{backup}")).await;
    let answer = tenant
        .ask(
            "POST",
            &format!("backups/{MISSING}/restore"),
            0,
            json!({"restore": {}}),
        )
        .await;
    let restored = text(&answer.json()["restore"]["volume_id"]);
    tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(tenant.bytes(&restored).await, b"first");
    tenant
        .wait(&format!("backups/{MISSING}"), "available")
        .await;
    // The record alone brings the first one back.
    fields["id"] = json!(backup);
    let answer = send(import(&fields)).await;
    assert_eq!(
        answer.json()["backup"]["name"],
        "b1",
        "a row that lives again has its name"
    );
    tenant.wait(&format!("backups/{backup}"), "available").await;
    for id in [backup.as_str(), MISSING] {
        tenant
            .ask("DELETE", &format!("backups/{id}"), 0, Value::Null)
            .await;
        tenant.wait_gone(&format!("backups/{id}")).await;
    }
    assert_eq!(tenant.house.manifests(&tenant.project), 0);
    // Now there is nothing that it could show.
    fields["id"] = json!(MISSING);
    let answer = send(import(&fields)).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let shown = tenant.get(&format!("backups/{MISSING}")).await["backup"].clone();
    assert_eq!(shown["status"], "error");
    assert_eq!(
        shown["fail_reason"],
        format!("the content of backup {backup} is not in the repository")
    );
}

#[tokio::test]
async fn records_that_are_none_are_refused() {
    let (tenant, admin) = with_admin().await;
    let id = MISSING;
    let url = |value: Value| STANDARD.encode(value.to_string());
    for (url, code, message) in [
        (
            "*".to_owned(),
            400,
            "Invalid input received: Can't parse backup record.",
        ),
        (
            "MQ".to_owned(),
            400,
            "Invalid input received: Can't decode backup record.",
        ),
        (
            url(json!([])),
            400,
            "Invalid input received: Provided backup record is missing an id",
        ),
        (
            url(json!({"size": 1})),
            400,
            "Invalid input received: Provided backup record is missing an id",
        ),
        (
            url(json!({"id": id})),
            400,
            "Invalid input received: Provided backup record is missing size attribute",
        ),
    ] {
        let body = json!({"backup-record": {"backup_service": "cinder.backup.drivers", "backup_url": url}});
        let answer = tenant
            .ask_as(&admin, "POST", "backups/import_record", 0, body)
            .await;
        refused(&answer, code, "badRequest", message);
    }
    // What its driver finds is told by the backup.
    let posix = "cinder.backup.drivers.posix.PosixBackupDriver";
    for (service, fields, reason) in [
        (
            posix,
            json!({"id": id, "size": 1}),
            format!("Import record failed, cannot find backup service to perform the import. Request service {posix}."),
        ),
        (
            "cinder.backup.drivers.emberkeep",
            json!({"id": "6f1c1f0c-0000-4000-8000-000000000002", "size": 1, "object_count": 0, "container": null}),
            "Driver successfully decoded imported backup data, but there are missing fields (display_name, display_description, service_metadata).".to_owned(),
        ),
    ] {
        let body = json!({"backup-record": {"backup_service": service, "backup_url": url(fields.clone())}});
        let answer = tenant
            .ask_as(&admin, "POST", "backups/import_record", 0, body)
            .await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        let shown = tenant.get(&format!("backups/{}", text(&fields["id"]))).await;
        assert_eq!(shown["backup"]["status"], "error");
        assert_eq!(shown["backup"]["fail_reason"], reason);
        assert_eq!(shown["backup"]["volume_id"], "00000000-0000-0000-0000-000000000000");
    }
    let answer = tenant
        .ask(
            "POST",
            "backups/import_record",
            0,
            json!({"backup-record": {"backup_service": "x", "backup_url": "MQ=="}}),
        )
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn while_backups_are_switched_off_nothing_is_begun() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    let switch = |verb: &'static str, body: Value| {
        let (tenant, admin) = (&tenant, &admin);
        async move {
            let path = format!("os-services/{verb}");
            tenant.ask_as(admin, "PUT", &path, 0, body).await
        }
    };
    let who = json!({"binary": "cinder-backup", "host": "emberkeep"});
    let reason =
        json!({"binary": "cinder-backup", "host": "emberkeep", "disabled_reason": "cleaning"});
    let answer = switch("disable-log-reason", reason).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let answer = tenant
        .ask_as(
            &admin,
            "GET",
            "os-services?binary=cinder-backup",
            7,
            Value::Null,
        )
        .await;
    let shown = answer.json()["services"][0].clone();
    assert_eq!(
        (
            &shown["status"],
            &shown["state"],
            &shown["disabled_reason"],
            &shown["cluster"]
        ),
        (
            &json!("disabled"),
            &json!("up"),
            &json!("cleaning"),
            &Value::Null
        )
    );
    let gone = "Service cinder-backup could not be found.";
    for (method, path, body) in [
        (
            "POST",
            format!("backups/{backup}/restore"),
            json!({"restore": {}}),
        ),
        ("DELETE", format!("backups/{backup}"), Value::Null),
        (
            "GET",
            format!("backups/{backup}/export_record"),
            Value::Null,
        ),
        (
            "POST",
            format!("backups/{backup}/action"),
            json!({"os-force_delete": {}}),
        ),
    ] {
        let answer = tenant.ask_as(&admin, method, &path, 0, body).await;
        refused(&answer, 404, "itemNotFound", gone);
    }
    // Cinder looks for somebody to take the record before it looks at the record.
    let record = json!({"backup-record": {
        "backup_service": "cinder.backup.drivers.posix.PosixBackupDriver", "backup_url": "rubbish",
    }});
    let path = "backups/import_record";
    let answer = tenant.ask_as(&admin, "POST", path, 0, record).await;
    let nobody = "Service cinder.backup.drivers.posix.PosixBackupDriver could not be found.";
    refused(&answer, 503, "serviceUnavailable", nobody);
    let volumes = tenant.get("volumes").await;
    assert_eq!(
        volumes["volumes"].as_array().map(Vec::len),
        Some(1),
        "no volume is left behind"
    );
    let body = json!({"backup": {"volume_id": volume, "name": "b2"}});
    let answer = tenant.ask("POST", "backups", 0, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let failed = text(&answer.json()["backup"]["id"]);
    let shown = tenant.get(&format!("backups/{failed}")).await["backup"].clone();
    assert_eq!(shown["status"], "error");
    assert_eq!(
        shown["fail_reason"],
        "Service not found for creating backup."
    );
    tenant.wait(&format!("volumes/{volume}"), "available").await;
    let answer = tenant.ask("GET", "messages", 3, Value::Null).await;
    let message = answer.json()["messages"][0].clone();
    assert_eq!(message["event_id"], "VOLUME_VOLUME_BACKUP_013_024");
    assert_eq!(
        message["user_message"],
        "create backup:Backup failed to schedule. Service not found for creating backup."
    );
    assert_eq!(message["resource_uuid"], failed.as_str());
    for (query, minor, found) in [
        ("event_id=VOLUME_VOLUME_BACKUP_013_024", 5, 1),
        ("event_id=VOLUME_VOLUME_013_024", 5, 0),
        ("event_id=VOLUME_VOLUME_BACKUP_015_024", 5, 0),
        ("event_id=fish", 5, 0),
        ("event_id=fish", 4, 1),
        ("resource_type=volume_backup&message_level=ERROR", 5, 1),
        ("message_level=INFO", 5, 0),
        ("sort=created_at:asc&limit=1", 5, 1),
    ] {
        let path = format!("messages?{query}");
        let answer = tenant.ask("GET", &path, minor, Value::Null).await.json();
        let messages = answer["messages"].as_array().map(Vec::len);
        assert_eq!(messages, Some(found), "{query} at 3.{minor}");
    }
    let path = format!("messages/{}", text(&message["id"]));
    assert_eq!(
        tenant.ask("GET", &path, 3, Value::Null).await.json()["message"],
        message
    );
    assert_eq!(
        tenant.ask("GET", &path, 2, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(
        tenant.ask("DELETE", &path, 3, Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        tenant.ask("GET", &path, 3, Value::Null).await.status,
        StatusCode::NOT_FOUND
    );

    assert_eq!(switch("enable", who).await.status, StatusCode::OK);
    let answer = tenant
        .ask("DELETE", &format!("backups/{backup}"), 0, Value::Null)
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let answer = switch(
        "disable",
        json!({"binary": "cinder-fish", "host": "emberkeep"}),
    )
    .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        "Service cinder-fish could not be found on host emberkeep.",
    );
    let answer = tenant.ask("GET", "os-services", 0, Value::Null).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}
