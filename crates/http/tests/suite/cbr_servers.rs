//! Servers through CBR, as clients see them, and through the native inventory.
#![allow(missing_docs, clippy::expect_used, reason = "a test")]

use crate::desk;

use axum::http::{Method, StatusCode};
use desk::{Desk, NOBODY};
use emberkeep_model::Role;
use serde_json::{Value, json};

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

async fn native(desk: &Desk, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    let path = format!("/api/v1{path}");
    let answer = desk.house.call(method, &path, &desk.token, body).await;
    let status = answer.status;
    let body = if status == StatusCode::NO_CONTENT {
        Value::Null
    } else {
        answer.json()
    };
    (status, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_from_the_inventory_to_its_restore() {
    let desk = Desk::new().await;
    let root = desk.volume(&[1; 70_000]).await;
    let data = desk.volume(&[2; 90_000]).await;
    let (status, server) = native(
        &desk,
        Method::POST,
        "/servers",
        json!({"name": "web", "os_type": "Linux", "architecture": "x86_64", "volumes": [root, data]}),
    )
    .await;
    assert_eq!(status, StatusCode::CREATED, "{server}");
    let id = text(&server["id"]);
    assert_eq!(server["status"], "SHUTOFF");
    assert_eq!(server["volumes"][1]["id"], json!(data));
    let (_, listed) = native(&desk, Method::GET, "/servers?name=web", Value::Null).await;
    assert_eq!(
        (&listed["count"], &listed["servers"][0]),
        (&json!(1), &server)
    );
    for (what, body, want) in [
        ("no name", json!({"volumes": []}), StatusCode::BAD_REQUEST),
        (
            "a volume of another server",
            json!({"name": "x", "volumes": [root]}),
            StatusCode::CONFLICT,
        ),
        (
            "a volume that is not there",
            json!({"name": "x", "volumes": [NOBODY]}),
            StatusCode::NOT_FOUND,
        ),
        (
            "an unknown word",
            json!({"name": "x", "volume": []}),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let (status, answer) = native(&desk, Method::POST, "/servers", body).await;
        assert_eq!(status, want, "{what}: {answer}");
    }

    // Seen from the side of backups.
    let seen = desk.get("/protectables/server/instances").await;
    let instance = &seen["instances"][0];
    assert_eq!(seen["count"], 1);
    assert_eq!(
        (&instance["type"], &instance["size"], &instance["status"]),
        (&json!("OS::Nova::Server"), &json!(2), &json!("SHUTOFF"))
    );
    assert_eq!(instance["children"][0]["id"], json!(root));
    assert_eq!(instance["protectable"]["result"], true);
    let disks = desk
        .get(&format!("/protectables/disk/instances?server_id={id}"))
        .await;
    assert_eq!(disks["count"], 2);

    let vault = desk
        .post(
            "/vaults",
            json!({"vault": {"name": "servers", "resources": [{"id": id, "type": "OS::Nova::Server",
                "extra_info": {"exclude_volumes": [NOBODY]}}],
                "billing": {"object_type": "server", "protect_type": "backup",
                    "consistent_level": "crash_consistent", "size": 10}}}),
        )
        .await["vault"]
        .clone();
    let vault_id = text(&vault["id"]);
    assert_eq!(vault["provider_id"], "0daac4c5-6707-4851-97ba-169e36266b66");
    assert_eq!(vault["billing"]["spec_code"], "vault.backup.server.normal");
    assert_eq!(vault["billing"]["allocated"], 2);
    let bound = &vault["resources"][0];
    assert_eq!(
        (&bound["name"], &bound["type"], &bound["extra_info"]),
        (
            &json!("web"),
            &json!("OS::Nova::Server"),
            &json!({"exclude_volumes": [NOBODY]})
        )
    );
    let shown = desk
        .get(&format!("/protectables/server/instances/{id}"))
        .await;
    let protectable = &shown["instance"]["protectable"];
    assert_eq!(
        (&protectable["code"], &protectable["vault"]["id"]),
        (&json!("BackupService.6103"), &json!(vault_id))
    );

    let made = desk
        .post(
            "/checkpoints",
            json!({"checkpoint": {"vault_id": vault_id, "parameters": {"name": "b",
                "resource_details": [{"id": id, "type": "OS::Nova::Server"}]}}}),
        )
        .await["checkpoint"]
        .clone();
    let resource = &made["vault"]["resources"][0];
    assert_eq!(
        (
            &resource["type"],
            &resource["resource_size"],
            &resource["extra_info"]
        ),
        (
            &json!("OS::Nova::Server"),
            &json!("2"),
            &json!(format!("{{\"exclude_volumes\":[\"{NOBODY}\"]}}"))
        )
    );
    let checkpoint = text(&made["id"]);
    desk.until(&format!("/checkpoints/{checkpoint}"), |answer| {
        answer.json()["checkpoint"]["status"] == "available"
    })
    .await;

    let listed = desk.get(&format!("/backups?vault_id={vault_id}")).await;
    assert_eq!(listed["count"], 1, "its parts are no items of their own");
    let whole = &listed["backups"][0];
    let whole_id = text(&whole["id"]);
    assert_eq!(
        (
            &whole["resource_type"],
            &whole["resource_id"],
            &whole["name"],
            &whole["resource_size"],
            &whole["parent_id"],
            &whole["provider_id"],
        ),
        (
            &json!("OS::Nova::Server"),
            &json!(id),
            &json!("b"),
            &json!(2),
            &Value::Null,
            &json!("0daac4c5-6707-4851-97ba-169e36266b66"),
        )
    );
    let extend = &whole["extend_info"];
    assert_eq!(
        (
            &extend["architecture"],
            &extend["bootable"],
            &extend["contain_system_disk"],
            &extend["os_images_data"],
            &extend["supported_restore_mode"],
        ),
        (
            &json!("x86_64"),
            &json!(false),
            &json!(false),
            &json!([]),
            &json!("backup"),
        )
    );
    let children = whole["children"].as_array().expect("a list");
    assert_eq!(children.len(), 2);
    for child in children {
        assert_eq!(child["parent_id"], json!(whole_id));
        assert_eq!(child["resource_type"], "OS::Cinder::Volume");
        assert_eq!(child["name"], "b_web");
        assert_eq!(child["status"], "available");
    }
    let parts = desk.get(&format!("/backups?parent_id={whole_id}")).await;
    assert_eq!(parts["count"], 2);
    for (query, want) in [
        ("resource_type=OS::Nova::Server", 1),
        ("resource_type=OS::Cinder::Volume", 0),
        ("resource_type=OS::Sfs::Turbo", 0),
        (&*format!("resource_id={id}"), 1),
    ] {
        let found = desk.get(&format!("/backups?{query}")).await;
        assert_eq!(found["count"], want, "{query}");
    }
    let child = text(&children[0]["id"]);
    let refused = desk
        .call(Method::DELETE, &format!("/backups/{child}"), Value::Null)
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error_code"]),
        (StatusCode::BAD_REQUEST, &json!("BackupService.6201"))
    );

    // What it remembers of the server: documents as text.
    let known = desk.get(&format!("/backups/{whole_id}/metadata")).await;
    assert_eq!(known["backup_id"], json!(whole_id));
    let document = |value: &Value| -> Value {
        serde_json::from_str(value.as_str().expect("text")).expect("a document")
    };
    let told = document(&known["server"]);
    assert_eq!(
        (
            &told["id"],
            &told["name"],
            &told["os_type"],
            &told["architecture"]
        ),
        (&json!(id), &json!("web"), &json!("Linux"), &json!("x86_64"))
    );
    assert_eq!(
        document(&known["backups"])
            .as_array()
            .expect("a list")
            .len(),
        2
    );
    let disks: Vec<Value> = known["volumes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(document)
        .collect();
    assert_eq!((disks.len(), &disks[0]["size"]), (2, &json!(1)));
    assert_eq!(
        (document(&known["flavor"]), document(&known["interface"])),
        (json!({}), json!([]))
    );
    assert_eq!(
        (&known["ports"], &known["floatingips"]),
        (&json!([]), &json!([]))
    );
    let part = text(&children[0]["id"]);
    let refused = desk
        .call(
            Method::GET,
            &format!("/backups/{part}/metadata"),
            Value::Null,
        )
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error_code"]),
        (StatusCode::BAD_REQUEST, &json!("BackupService.6206"))
    );

    let logs = desk.get(&format!("/operation-logs?resource_id={id}")).await;
    let log = &logs["operation_logs"][0];
    assert_eq!(log["extra_info"]["backup"]["incremental"], "false");
    assert_eq!(
        (
            &log["operation_type"],
            &log["extra_info"]["resource"]["type"]
        ),
        (&json!("backup"), &json!("OS::Nova::Server"))
    );

    for (what, body, status, code) in [
        ("no server", json!({}), 400, "BackupService.9900"),
        (
            "another server",
            json!({"server_id": NOBODY}),
            404,
            "BackupService.7100",
        ),
        (
            "a disk",
            json!({"volume_id": root}),
            400,
            "BackupService.2009",
        ),
        (
            "a disk of no server",
            json!({"server_id": id, "mappings": [{"backup_id": child, "volume_id": NOBODY}]}),
            400,
            "BackupService.2003",
        ),
    ] {
        let path = format!("/backups/{whole_id}/restore");
        let refused = desk
            .call(Method::POST, &path, json!({"restore": body}))
            .await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json()["error_code"]),
            (status, &json!(code)),
            "{what}"
        );
    }

    // Lost, and back, crosswise.
    let other = |of: &Value| if of == &json!(root) { &data } else { &root };
    let mappings: Vec<_> = children
        .iter()
        .map(|child| json!({"backup_id": child["id"], "volume_id": other(&child["resource_id"])}))
        .collect();
    let begun = desk
        .call(
            Method::POST,
            &format!("/backups/{whole_id}/restore"),
            json!({"restore": {"server_id": id, "power_on": true, "mappings": mappings}}),
        )
        .await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.json());
    let job = text(&begun.json()["job_id"]);
    let done = desk
        .until(&format!("/operation-logs/{job}"), |answer| {
            !["waiting", "running"].contains(
                &answer.json()["operation_log"]["status"]
                    .as_str()
                    .expect("a status"),
            )
        })
        .await;
    let log = &done.json()["operation_log"];
    assert_eq!(log["status"], "success", "{log}");
    assert_eq!(
        log["extra_info"]["restore"]["target_resource_id"],
        json!(id)
    );
    for (volume, byte, length) in [(&root, 2_u8, 90_000), (&data, 1, 70_000)] {
        let bytes = desk
            .house
            .volumes
            .bytes(volume.parse().expect("an id"))
            .expect("is there");
        assert!(bytes[..length].iter().all(|b| *b == byte));
        assert!(bytes[length..].iter().all(|b| *b == 0));
    }

    let gone = desk
        .call(Method::DELETE, &format!("/backups/{whole_id}"), Value::Null)
        .await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    for id in [&whole_id, &child] {
        desk.until(&format!("/backups/{id}"), |answer| {
            answer.status == StatusCode::NOT_FOUND
        })
        .await;
    }
    let (status, _) = native(
        &desk,
        Method::DELETE,
        &format!("/servers/{id}"),
        Value::Null,
    )
    .await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let refused = desk
        .call(
            Method::POST,
            "/checkpoints",
            json!({"checkpoint": {"vault_id": vault_id}}),
        )
        .await;
    assert_eq!(refused.json()["error_code"], "BackupService.0001");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_freezes_a_vault() {
    let mut desk = Desk::new().await;
    let omega = desk.house.project("omega").await;
    desk.house.user("root", &omega, Role::Admin).await;
    let root = desk.house.token("root").await;
    let billing = json!({"object_type": "disk", "protect_type": "backup",
        "consistent_level": "crash_consistent", "size": 10});
    let body = json!({"vault": {"name": "held", "resources": [], "billing": billing}});
    let vault = text(&desk.post("/vaults", body).await["vault"]["id"]);
    let order = |verb: &str| format!("/vaults/{vault}/{verb}");
    let why = json!({"reason": "a dispute"});
    let (status, _) = native(&desk, Method::POST, &order("freeze"), why.clone()).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "a member may not");
    let member = std::mem::replace(&mut desk.token, root);
    let (status, stands) = native(&desk, Method::POST, &order("freeze"), why).await;
    assert_eq!(status, StatusCode::OK, "{stands}");
    assert_eq!(
        (&stands["status"], &stands["frozen_scene"]),
        (&json!("frozen"), &json!("a dispute"))
    );
    let root = std::mem::replace(&mut desk.token, member);
    let shown = desk.get(&format!("/vaults/{vault}")).await;
    let billing = &shown["vault"]["billing"];
    assert_eq!(
        (&billing["status"], &billing["frozen_scene"]),
        (&json!("frozen"), &json!("a dispute"))
    );
    assert_eq!(desk.get("/vaults?status=frozen").await["count"], 1);
    let rename = json!({"vault": {"name": "other"}});
    let refused = desk
        .call(Method::PUT, &format!("/vaults/{vault}"), rename)
        .await;
    assert_eq!(
        (refused.status, &refused.json()["error_code"]),
        (StatusCode::BAD_REQUEST, &json!("BackupService.6112"))
    );
    desk.token = root;
    let long = json!({"reason": "x".repeat(256)});
    let (status, _) = native(&desk, Method::POST, &order("freeze"), long).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let nobody = format!("/vaults/{NOBODY}/thaw");
    let (status, _) = native(&desk, Method::POST, &nobody, Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, stands) = native(&desk, Method::POST, &order("thaw"), Value::Null).await;
    assert_eq!(
        (status, &stands["status"]),
        (StatusCode::OK, &json!("available"))
    );
}
