//! Volumes, snapshots, types and what else clients ask for.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::cinder::tenant::{MISSING, Tenant, ids, refused, text};

#[tokio::test]
async fn volumes_are_changed_and_deleted() {
    let tenant = Tenant::new().await;
    let id = tenant.volume("v1").await;
    let path = format!("volumes/{id}");
    let shown = tenant.get(&path).await["volume"].clone();
    assert_eq!(shown["volume_type"], "standard");
    assert_eq!(shown["bootable"], "false");
    assert_eq!(
        shown["os-vol-tenant-attr:tenant_id"],
        tenant.project.id.as_str()
    );
    assert_eq!(shown.get("os-vol-host-attr:host"), None);
    assert_eq!(shown["attachments"], json!([]));

    let body = json!({"volume": {"name": "renamed", "description": null}});
    let changed = tenant.ask("PUT", &path, 71, body).await;
    assert_eq!(changed.status, StatusCode::OK);
    assert_eq!(changed.json()["volume"]["name"], "renamed");
    assert_eq!(
        changed.json()["volume"].get("os-vol-tenant-attr:tenant_id"),
        None
    );

    let meta = format!("{path}/metadata");
    let answer = tenant
        .ask("POST", &meta, 0, json!({"metadata": {"a": "1", "b": "2"}}))
        .await;
    assert_eq!(answer.json(), json!({"metadata": {"a": "1", "b": "2"}}));
    tenant
        .ask("POST", &meta, 0, json!({"metadata": {"b": "3"}}))
        .await;
    assert_eq!(
        tenant.get(&meta).await,
        json!({"metadata": {"a": "1", "b": "3"}})
    );
    assert_eq!(
        tenant.get(&format!("{meta}/b")).await,
        json!({"meta": {"b": "3"}})
    );
    let answer = tenant
        .ask("DELETE", &format!("{meta}/b"), 0, Value::Null)
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let answer = tenant
        .ask("DELETE", &format!("{meta}/b"), 0, Value::Null)
        .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        &format!("Volume {id} has no metadata with key b."),
    );
    let answer = tenant
        .ask("PUT", &format!("{meta}/c"), 0, json!({"meta": {"c": "4"}}))
        .await;
    assert_eq!(answer.json(), json!({"meta": {"c": "4"}}));
    let answer = tenant
        .ask("PUT", &meta, 0, json!({"metadata": {"z": "9"}}))
        .await;
    assert_eq!(answer.json(), json!({"metadata": {"z": "9"}}));
    assert_eq!(
        tenant.get(&path).await["volume"]["metadata"],
        json!({"z": "9"})
    );

    let action = format!("{path}/action");
    let body = json!({"os-set_bootable": {"bootable": true}});
    assert_eq!(
        tenant.ask("POST", &action, 0, body).await.status,
        StatusCode::OK
    );
    let body = json!({"os-extend": {"new_size": 2}});
    assert_eq!(
        tenant.ask("POST", &action, 0, body.clone()).await.status,
        StatusCode::ACCEPTED
    );
    let shown = tenant.wait(&path, "available").await;
    assert_eq!(
        (&shown["size"], &shown["bootable"]),
        (&json!(2), &json!("true"))
    );
    let answer = tenant.ask("POST", &action, 0, body).await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid input received: New size for extend must be greater than current size. (current: 2, extended: 2).",
    );

    assert_eq!(
        ids(&tenant.get("volumes?name=renamed").await["volumes"]),
        std::slice::from_ref(&id)
    );
    assert_eq!(
        tenant.get("volumes/detail?name=v1").await,
        json!({"volumes": []})
    );
    for name in ["renamed", MISSING] {
        let answer = tenant
            .ask("GET", &format!("volumes/{name}"), 0, Value::Null)
            .await;
        refused(
            &answer,
            404,
            "itemNotFound",
            &format!("Volume {name} could not be found."),
        );
    }
    let answer = tenant
        .ask("DELETE", &format!("{path}?cascade=maybe"), 0, Value::Null)
        .await;
    refused(
        &answer,
        400,
        "badRequest",
        "Value 'maybe' for 'cascade' is not a boolean.",
    );
    let answer = tenant.ask("DELETE", &path, 0, Value::Null).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (StatusCode::ACCEPTED, 0)
    );
    tenant.wait_gone(&path).await;
}

#[tokio::test]
async fn snapshots_are_taken_backed_up_and_deleted() {
    let tenant = Tenant::new().await;
    let volume = tenant.volume("v1").await;
    tenant.write(&volume, b"before").await;
    let body = json!({"snapshot": {
        "volume_id": volume, "name": "s1", "description": null, "force": false, "metadata": {"k": "v"},
    }});
    let answer = tenant.ask("POST", "snapshots", 0, body).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let answer = answer.json();
    assert_eq!(answer["snapshot"].as_object().expect("is one").len(), 9);
    let id = text(&answer["snapshot"]["id"]);
    let path = format!("snapshots/{id}");
    let shown = tenant.wait(&path, "available").await;
    assert_eq!(shown["os-extended-snapshot-attributes:progress"], "100%");
    assert_eq!(shown["metadata"], json!({"k": "v"}));
    tenant.write(&volume, b"after!").await;

    let body = json!({"backup": {"volume_id": volume, "snapshot_id": id}});
    let backup = tenant.ask("POST", "backups", 0, body).await.json();
    let backup = text(&backup["backup"]["id"]);
    let shown = tenant.wait(&format!("backups/{backup}"), "available").await;
    assert_eq!(shown["snapshot_id"], id.as_str());
    tenant.wait(&path, "available").await;
    let body = json!({"restore": {"name": "r"}});
    let answer = tenant
        .ask("POST", &format!("backups/{backup}/restore"), 0, body)
        .await;
    let restored = text(&answer.json()["restore"]["volume_id"]);
    tenant
        .wait(&format!("volumes/{restored}"), "available")
        .await;
    assert_eq!(tenant.bytes(&restored).await, b"before");

    let answer = tenant
        .ask("PUT", &path, 0, json!({"snapshot": {"name": "s2"}}))
        .await;
    assert_eq!(answer.json()["snapshot"]["name"], "s2");
    assert_eq!(
        ids(&tenant
            .get(&format!("snapshots/detail?volume_id={volume}"))
            .await["snapshots"]),
        std::slice::from_ref(&id)
    );
    let answer = tenant
        .ask("DELETE", &format!("volumes/{volume}"), 0, Value::Null)
        .await;
    refused(
        &answer,
        400,
        "badRequest",
        "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated from snapshots after volume transfer.",
    );
    let answer = tenant.ask("DELETE", &path, 0, Value::Null).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    tenant.wait_gone(&path).await;
    let message = format!("Snapshot {id} could not be found.");
    refused(
        &tenant.ask("GET", &path, 0, Value::Null).await,
        404,
        "itemNotFound",
        &message,
    );
}

#[tokio::test]
async fn types_zones_limits_and_filters_are_told() {
    let tenant = Tenant::new().await;
    let types = tenant.get("types?is_public=None").await;
    let kind = types["volume_types"][0].clone();
    assert_eq!(kind["name"], "standard");
    assert_eq!(kind["os-volume-type-access:is_public"], true);
    for id in [
        text(&kind["id"]),
        "standard".to_owned(),
        "default".to_owned(),
    ] {
        assert_eq!(
            tenant.get(&format!("types/{id}")).await["volume_type"],
            kind,
            "{id}"
        );
    }
    let marker = text(&kind["id"]);
    let rest = tenant.get(&format!("types?limit=1&marker={marker}")).await;
    assert_eq!(
        rest,
        json!({"volume_types": []}),
        "a client that pages comes to an end"
    );
    let answer = tenant.ask("GET", "types/gold", 0, Value::Null).await;
    refused(
        &answer,
        404,
        "itemNotFound",
        "Volume type gold could not be found.",
    );
    assert_eq!(
        tenant.get("os-availability-zone").await,
        json!({"availabilityZoneInfo": [{"zoneName": "nova", "zoneState": {"available": true}}]})
    );
    let extensions = tenant.get("extensions").await;
    let listed = extensions["extensions"].as_array().unwrap();
    let aliases: BTreeSet<&str> = listed.iter().filter_map(|e| e["alias"].as_str()).collect();
    assert_eq!(aliases.len(), listed.len());
    assert!(aliases.contains("backups") && !aliases.contains("os-volume-transfer"));
    for extension in listed {
        let path = format!("extensions/{}", extension["alias"].as_str().unwrap());
        assert_eq!(tenant.get(&path).await, json!({"extension": extension}));
        assert_eq!(extension["links"], json!([]));
    }
    let answer = tenant
        .ask("GET", "extensions/os-hosts", 0, Value::Null)
        .await;
    refused(
        &answer,
        404,
        "itemNotFound",
        "The resource could not be found.",
    );
    let answer = tenant
        .ask("GET", "resource_filters?resource=backup", 33, Value::Null)
        .await;
    assert_eq!(
        answer.json(),
        json!({"resource_filters": [{"resource": "backup", "filters": ["name", "status", "volume_id"]}]})
    );
    let answer = tenant.ask("GET", "resource_filters", 32, Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    let volume = tenant.volume("v1").await;
    tenant.backup(&volume, "b1", false).await;
    assert_eq!(
        tenant.get("limits").await,
        json!({"limits": {"rate": [], "absolute": {
            "maxTotalVolumes": 10, "maxTotalSnapshots": 10, "maxTotalVolumeGigabytes": 1000,
            "maxTotalBackups": 10, "maxTotalBackupGigabytes": 1000,
            "totalVolumesUsed": 1, "totalGigabytesUsed": 1, "totalSnapshotsUsed": 0,
            "totalBackupsUsed": 1, "totalBackupGigabytesUsed": 1,
        }}})
    );
}
