//! Lists by any column: what administrators may filter by, and what everybody may sort by
//! (`cinder-backup.md §2.4`).

use axum::http::StatusCode;
use emberkeep_model::Role;
use emberkeep_service::{Policy, Settings};
use serde_json::{Value, json};

use crate::cinder::tenant::{Tenant, ids, refused, text};
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

/// Two backups of one volume, the second from a snapshot, in containers of their own.
async fn two_backups(tenant: &Tenant, volume: &str) -> [String; 2] {
    let body = json!({"snapshot": {"volume_id": volume, "name": "s1"}});
    let answer = tenant.ask("POST", "snapshots", 0, body).await;
    let snapshot = text(&answer.json()["snapshot"]["id"]);
    let path = format!("snapshots/{snapshot}");
    tenant.wait(&path, "available").await;
    let mut made = Vec::new();
    for (name, container, from) in [("b1", "zinc", None), ("b2", "amber", Some(&snapshot))] {
        let body = json!({"backup": {
            "volume_id": volume, "name": name, "container": container, "snapshot_id": from,
            "description": format!("the {container} one"), "metadata": {"kept in": container},
        }});
        let answer = tenant.ask("POST", "backups", 43, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{:?}", answer.body);
        let id = text(&answer.json()["backup"]["id"]);
        tenant.wait(&format!("backups/{id}"), "available").await;
        made.push(id);
    }
    tenant.wait(&path, "available").await;
    made.try_into().expect("are two")
}

#[tokio::test]
async fn administrators_filter_backups_by_any_column() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    let [first, second] = two_backups(&tenant, &volume).await;
    let path = format!("backups/{second}");
    let shown = tenant.ask_as(&admin, "GET", &path, 71, Value::Null).await;
    let shown = shown.json()["backup"].clone();
    let (b1, b2, both) = (vec![&first], vec![&second], vec![&second, &first]);
    for (query, want) in [
        ("container=amber".to_owned(), &b2),
        ("container~=in".to_owned(), &b1),
        ("display_description~=amber".to_owned(), &b2),
        ("status~=avail".to_owned(), &both),
        ("status~=ing".to_owned(), &vec![]),
        (format!("user_id={}", text(&shown["user_id"])), &both),
        (format!("snapshot_id={}", text(&shown["snapshot_id"])), &b2),
        (format!("created_at={}", text(&shown["created_at"])), &b2),
        (format!("updated_at={}", text(&shown["updated_at"])), &b2),
        (
            format!("data_timestamp={}", text(&shown["data_timestamp"])),
            &b2,
        ),
        ("created_at=yesterday".to_owned(), &vec![]),
        ("metadata={'kept in': 'zinc'}".to_owned(), &b1),
        ("object_count=0".to_owned(), &both),
        ("object_count=1".to_owned(), &vec![]),
        ("num_dependent_backups=0&size=1".to_owned(), &both),
        ("host=elsewhere".to_owned(), &vec![]),
        ("temp_volume_id=x".to_owned(), &vec![]),
        ("encryption_key_id=x".to_owned(), &vec![]),
        ("deleted=False".to_owned(), &both),
        ("deleted=True".to_owned(), &vec![]),
        ("fish=1".to_owned(), &vec![]),
        ("fish~=1".to_owned(), &vec![]),
    ] {
        let path = format!("backups/detail?{}", query.replace(' ', "%20"));
        let answer = tenant.ask_as(&admin, "GET", &path, 71, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{query}: {:?}", answer.body);
        let found = ids(&answer.json()["backups"]);
        assert_eq!(found.iter().collect::<Vec<_>>(), *want, "{query}");
    }
}

#[tokio::test]
async fn lists_are_sorted_by_any_column() {
    let (tenant, _) = with_admin().await;
    let volume = tenant.volume("v1").await;
    let [first, second] = two_backups(&tenant, &volume).await;
    let other = tenant.volume("v2").await;
    let body = json!({"os-set_bootable": {"bootable": true}});
    let act = format!("volumes/{volume}/action");
    assert_eq!(
        tenant.ask("POST", &act, 0, body).await.status,
        StatusCode::OK
    );
    for (list, query, want) in [
        ("backups", "sort=container:asc", [&second, &first]),
        ("backups", "sort=container:desc", [&first, &second]),
        (
            "backups",
            "sort_key=snapshot_id&sort_dir=asc",
            [&first, &second],
        ),
        ("backups", "sort=host:asc", [&first, &second]),
        (
            "backups",
            "sort=object_count:desc,display_name:asc",
            [&first, &second],
        ),
        (
            "backups",
            "sort=availability_zone,name:desc",
            [&second, &first],
        ),
        ("volumes", "sort=bootable:desc", [&volume, &other]),
        ("volumes", "sort=bootable:asc", [&other, &volume]),
        ("volumes", "sort=host:asc,name:desc", [&other, &volume]),
        ("volumes", "sort=availability_zone:asc", [&volume, &other]),
    ] {
        for detail in ["", "/detail"] {
            let path = format!("{list}{detail}?{query}");
            let answer = tenant.ask("GET", &path, 71, Value::Null).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
            let found = ids(&answer.json()[list]);
            assert_eq!(found.iter().collect::<Vec<_>>(), want, "{path}");
        }
    }
    for list in ["backups", "volumes", "snapshots", "attachments", "messages"] {
        let path = format!("{list}?sort=fish:asc");
        let answer = tenant.ask("GET", &path, 71, Value::Null).await;
        let message = "Invalid input received: Invalid sort key";
        refused(&answer, 400, "badRequest", message);
    }
}

#[tokio::test]
async fn volumes_and_snapshots_are_filtered_as_clients_do() {
    let (tenant, admin) = with_admin().await;
    let volume = tenant.volume("v1").await;
    let body = json!({"snapshot": {"volume_id": volume, "name": "s1"}});
    let answer = tenant.ask("POST", "snapshots", 0, body).await;
    let snapshot = text(&answer.json()["snapshot"]["id"]);
    let path = format!("volumes/{volume}");
    let shown = tenant.ask_as(&admin, "GET", &path, 71, Value::Null).await;
    let shown = shown.json()["volume"].clone();
    let (user, kind) = (text(&shown["user_id"]), text(&shown["volume_type_id"]));
    for (list, query, root_only, found) in [
        // What `openstack volume list --user` asks.
        (
            "volumes",
            format!("all_tenants=True&user_id={user}"),
            true,
            true,
        ),
        ("volumes", "user_id=x".to_owned(), true, false),
        ("volumes", format!("volume_type_id={kind}"), true, true),
        ("volumes", "name~=v".to_owned(), true, true),
        ("volumes", "host=x".to_owned(), true, false),
        ("volumes", "multiattach=false".to_owned(), true, true),
        ("volumes", "group_id=x".to_owned(), false, false),
        ("volumes", "migration_status=error".to_owned(), false, false),
        ("volumes", "consumes_quota=true".to_owned(), false, true),
        ("volumes", "consumes_quota=false".to_owned(), false, false),
        (
            "volumes",
            "created_at=gt:2020-01-01T00:00:00".to_owned(),
            false,
            true,
        ),
        (
            "volumes",
            "created_at=gt:2020-01-01,lt:2021-01-01".to_owned(),
            false,
            false,
        ),
        ("snapshots", format!("user_id={user}"), true, true),
        ("snapshots", "user_id=x".to_owned(), true, false),
        ("snapshots", "consumes_quota=false".to_owned(), false, false),
        ("snapshots", "display_name~=s".to_owned(), true, true),
    ] {
        let want: &[&String] = match (found, list) {
            (false, _) => &[],
            (true, "volumes") => &[&volume],
            (true, _) => &[&snapshot],
        };
        let path = format!("{list}/detail?{query}");
        let answer = tenant.ask_as(&admin, "GET", &path, 71, Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {:?}", answer.body);
        let seen = ids(&answer.json()[list]);
        assert_eq!(seen.iter().collect::<Vec<_>>(), want, "{path}");
        let member = tenant.ask("GET", &path, 71, Value::Null).await;
        if root_only {
            assert_eq!(member.status, StatusCode::BAD_REQUEST, "{path}");
        } else {
            let seen = ids(&member.json()[list]);
            assert_eq!(seen.iter().collect::<Vec<_>>(), want, "{path}");
        }
    }
}

/// What a rule of the policy says counts, whoever is called administrator.
#[tokio::test]
async fn rules_say_who_sees_owners_and_usage() {
    let rules = [
        ("backup:backup_project_attribute", "reader"),
        ("limits_extension:used_limits", "admin"),
    ];
    let rules = rules.map(|(rule, who)| (rule.to_owned(), who.to_owned()));
    let settings = Settings {
        policy: Policy::with(&rules.into_iter().collect()).expect("are rules"),
        ..Settings::default()
    };
    let mut house = House::idle(settings).await;
    house.work();
    let tenant = Tenant::in_house(house).await;
    tenant
        .house
        .user("root", &tenant.project, Role::Admin)
        .await;
    let admin = tenant.house.token("root").await;
    let volume = tenant.volume("v1").await;
    let backup = tenant.backup(&volume, "b1", false).await;
    for path in [format!("backups/{backup}"), "backups/detail".to_owned()] {
        let answer = tenant.ask("GET", &path, 56, Value::Null).await.json();
        let shown = answer.get("backup").unwrap_or(&answer["backups"][0]);
        let project = &shown["os-backup-project-attr:project_id"];
        assert_eq!(project, tenant.project.id.as_str(), "{path}");
        assert!(shown["user_id"].is_string(), "{path}");
    }
    let limits = tenant.get("limits").await["limits"]["absolute"].clone();
    assert_eq!(limits["maxTotalBackups"], 10);
    assert_eq!(limits.get("totalBackupsUsed"), None);
    let answer = tenant.ask_as(&admin, "GET", "limits", 0, Value::Null).await;
    assert_eq!(answer.json()["limits"]["absolute"]["totalBackupsUsed"], 1);
}
