//! How many pairs a thing may have, and what lists of those do that have too many.

use std::collections::{BTreeMap, BTreeSet};

use emberkeep_catalog::{Change, Row};
use emberkeep_model::{Role, VolumeId};
use emberkeep_service::MAX_PAIRS;
use serde_json::{Value, json};
use uuid::Uuid;

use super::tenant::Tenant;

fn pairs(amount: usize) -> BTreeMap<String, String> {
    (0..amount)
        .map(|number| (format!("key-{number:05}"), "value".to_owned()))
        .collect()
}

/// Every call by which a tenant or an operator adds pairs.
#[tokio::test]
async fn no_call_takes_more_pairs_than_cinder() {
    let tenant = Tenant::new().await;
    let house = &tenant.house;
    house.user("root", &tenant.project, Role::Admin).await;
    let admin = house.token("root").await;
    let volume = tenant.volume("disk").await;
    let spare = tenant.volume("spare").await;
    let backup = tenant.backup(&volume, "one", false).await;
    let types = tenant.get("types").await;
    let kind = types["volume_types"][0]["id"].as_str().expect("an id");
    let some = |amount| json!(pairs(amount));
    for (what, method, path, body) in [
        (
            "a new volume",
            "POST",
            "volumes".to_owned(),
            &(|n| json!({"volume": {"size": 1, "metadata": some(n)}})) as &dyn Fn(usize) -> Value,
        ),
        (
            "a volume's own",
            "PUT",
            format!("volumes/{volume}/metadata"),
            &|n| json!({"metadata": some(n)}),
        ),
        (
            "a volume's other",
            "POST",
            format!("volumes/{spare}/metadata"),
            &|n| json!({"metadata": some(n)}),
        ),
        (
            "a changed volume",
            "PUT",
            format!("volumes/{volume}"),
            &|n| json!({"volume": {"metadata": some(n)}}),
        ),
        (
            "an image's",
            "POST",
            format!("volumes/{volume}/action"),
            &|n| json!({"os-set_image_metadata": {"metadata": some(n)}}),
        ),
        (
            "a new snapshot",
            "POST",
            "snapshots".to_owned(),
            &|n| json!({"snapshot": {"volume_id": volume, "metadata": some(n)}}),
        ),
        (
            "a new backup",
            "POST",
            "backups".to_owned(),
            &|n| json!({"backup": {"volume_id": spare, "metadata": some(n)}}),
        ),
        (
            "a changed backup",
            "PUT",
            format!("backups/{backup}"),
            &|n| json!({"backup": {"metadata": some(n)}}),
        ),
        (
            "a new type",
            "POST",
            "types".to_owned(),
            &|n| json!({"volume_type": {"name": format!("t-{n}"), "extra_specs": some(n)}}),
        ),
        (
            "a type's",
            "POST",
            format!("types/{kind}/extra_specs"),
            &|n| json!({"extra_specs": some(n)}),
        ),
    ] {
        let ask = async |amount| tenant.ask_as(&admin, method, &path, 60, body(amount)).await;
        let answer = ask(MAX_PAIRS + 1).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                &answer.json()["overLimit"]["message"]
            ),
            (
                413,
                &json!("MetadataLimitExceeded: Maximum number of metadata items exceeds 128")
            ),
            "{what}: {}",
            answer.json()
        );
        let answer = ask(MAX_PAIRS).await;
        assert!(answer.status.is_success(), "{what}: {}", answer.json());
    }
    for (what, path, body) in [
        (
            "a server",
            "servers",
            json!({"name": "web", "volumes": [spare], "metadata": pairs(129)}),
        ),
        (
            "a file system",
            "file-systems",
            json!({"name": "f", "path": "/", "metadata": pairs(129)}),
        ),
    ] {
        let path = format!("/api/v1/{path}");
        let answer = tenant.house.post(&path, &admin, body).await;
        assert_eq!(answer.status.as_u16(), 403, "{what}: {}", answer.json());
        assert_eq!(answer.json()["error"]["code"], "over_quota", "{what}");
    }
}

/// Rows from before the bound: a list of them ends each page early, is complete, and they can lose pairs.
#[tokio::test]
async fn a_list_of_rows_with_too_many_pairs_comes_in_bounded_pages() {
    const ROWS: usize = 60;
    const PAIRS: usize = 20_000;
    /// What one page may take: its bound, the row that reaches it, and the JSON around.
    const PAGE: usize = 6 << 20;
    let tenant = Tenant::new().await;
    let first = tenant.volume("first").await;
    let row = tenant.house.catalog.volume(first.parse().expect("an id"));
    let row = row.await.expect("reads").expect("is there");
    let mut ids = BTreeSet::from([first.clone()]);
    for _ in 1..ROWS {
        let mut volume = row.clone();
        volume.id = VolumeId(Uuid::new_v4());
        volume.revision = 0;
        volume.metadata = pairs(PAIRS);
        ids.insert(volume.id.to_string());
        let insert = vec![Change::Insert(Row::Volume(volume))];
        tenant.house.catalog.apply(insert).await.expect("is taken");
    }
    let mut seen = BTreeSet::new();
    let mut path = format!("/volume/v3/{}/volumes/detail", tenant.project.id);
    let mut pages = 0;
    loop {
        let answer = tenant.house.get(&path, &tenant.member).await;
        assert!(answer.body.len() < PAGE, "{} bytes", answer.body.len());
        pages += 1;
        let page = answer.json();
        for volume in page["volumes"].as_array().expect("a list") {
            let id = volume["id"].as_str().expect("an id");
            assert!(seen.insert(id.to_owned()), "{id} came twice");
        }
        let next = &page["volumes_links"][0];
        let Some(next) = next["href"].as_str() else {
            break;
        };
        assert_eq!(page["volumes_links"][0]["rel"], "next");
        path = next
            .split("ember.test:8776")
            .last()
            .expect("a path")
            .to_owned();
    }
    assert_eq!(seen, ids, "none is left out");
    assert!(pages > 1, "{pages}");
    let heavy = ids.iter().find(|id| **id != first).expect("one");
    let pair = format!("volumes/{heavy}/metadata/key-00000");
    let answer = tenant.ask("DELETE", &pair, 0, Value::Null).await;
    assert_eq!(answer.status.as_u16(), 200, "it loses a pair");
    let more = json!({"metadata": {"one": "more"}});
    let path = format!("volumes/{heavy}/metadata");
    let answer = tenant.ask("POST", &path, 0, more).await;
    assert_eq!(answer.status.as_u16(), 413, "it gets none");
    let answer = tenant
        .ask("DELETE", &format!("volumes/{heavy}"), 0, Value::Null)
        .await;
    assert_eq!(answer.status.as_u16(), 202, "it can be deleted");
}
