//! What the calls about backups refuse, with code, key and text (`cinder-backup.md §2.5`), where no other
//! test comes by it.

use super::*;

#[tokio::test]
async fn what_cannot_be_backed_up_exported_or_restored() {
    let tenant = Tenant::new().await;
    tenant
        .house
        .user("root", &tenant.project, emberkeep_model::Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    let (first, second) = (tenant.volume("v1").await, tenant.volume("v2").await);
    let body = json!({"snapshot": {"volume_id": first, "name": "s1"}});
    let answer = tenant.ask("POST", "snapshots", 0, body).await;
    let snapshot = tenant::text(&answer.json()["snapshot"]["id"]);
    tenant
        .wait(&format!("snapshots/{snapshot}"), "available")
        .await;
    let backup = tenant.backup(&first, "b1", false).await;
    let large = {
        let body = json!({"volume": {"size": 3, "name": "large"}});
        let answer = tenant.ask("POST", "volumes", 0, body).await;
        let id = tenant::text(&answer.json()["volume"]["id"]);
        tenant.wait(&format!("volumes/{id}"), "available").await;
        id
    };
    let three = tenant.backup(&large, "b3", false).await;
    let set = async |what: &str, status: &str| {
        let body = json!({"os-reset_status": {"status": status}});
        let path = format!("{what}/action");
        let answer = tenant.ask_as(&admin, "POST", &path, 0, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
    };
    let restore_to = |volume: &str| json!({"restore": {"volume_id": volume}});
    let (create, restore) = ("backups".to_owned(), format!("backups/{backup}/restore"));

    let of = |volume: &str, snapshot: &str| json!({"backup": {"volume_id": volume, "snapshot_id": snapshot}});
    let message =
        format!("Invalid volume: Volume {second} does not match with snapshot.volume_id {first}.");
    let answer = tenant.ask("POST", &create, 0, of(&second, &snapshot)).await;
    refused(&answer, 400, "badRequest", &message);

    set(&format!("snapshots/{snapshot}"), "error").await;
    let answer = tenant.ask("POST", &create, 0, of(&first, &snapshot)).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid snapshot: Snapshot to be backed up must be available, but the current status is \"error\".",
    );

    let path = format!("backups/{three}/restore");
    let answer = tenant.ask("POST", &path, 0, restore_to(&first)).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid volume: volume size 1 is too small to restore backup of size 3.",
    );

    set(&format!("volumes/{second}"), "error").await;
    let answer = tenant.ask("POST", &restore, 0, restore_to(&second)).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid volume: Volume to be restored to must be available",
    );

    set(&format!("backups/{backup}"), "error").await;
    let answer = tenant.ask("POST", &restore, 0, restore_to(&first)).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid backup: Backup status must be available",
    );
    let path = format!("backups/{backup}/export_record");
    let answer = tenant.ask_as(&admin, "GET", &path, 0, Value::Null).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid backup: Backup status must be available and not creating.",
    );
}
