//! Lists that are longer than one answer, on both APIs.

use crate::cloud;

use cloud::{Answer, Asked, Cloud};
use emberkeep_sdk::block_storage::VolumeQuery;
use emberkeep_sdk::cbr::{BackupQuery, MemberQuery, TaskQuery, VaultQuery};
use emberkeep_sdk::{BackupId, SdkError};
use futures_util::StreamExt;
use serde_json::{Value, json};

fn volume(id: &str) -> Value {
    json!({"id": id, "name": "v", "size": 1, "status": "available"})
}

fn value(asked: &Asked, name: &str) -> Option<usize> {
    let (_, query) = asked.line.split_once('?')?;
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?
        .parse()
        .ok()
}

#[tokio::test]
async fn links_are_followed_to_the_last() {
    let cloud = Cloud::signed_in(|asked| {
        let next = json!([{"rel": "next", "href": "somewhere"}]);
        let body = if asked.line.contains("marker=b") {
            json!({"volumes": [volume("c")]})
        } else {
            json!({"volumes": [volume("a"), volume("b")], "volumes_links": next})
        };
        Answer::json(200, body)
    })
    .await;
    let api = cloud.connect().await.block_storage();
    let found = api
        .volumes(&VolumeQuery::named("v"))
        .all()
        .await
        .expect("a list");
    let ids: Vec<_> = found.iter().map(|volume| volume.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(
        cloud.lines()[2..],
        [
            "GET /volume/v3/p1/volumes/detail?name=v",
            "GET /volume/v3/p1/volumes/detail?name=v&marker=b"
        ]
    );
}

/// A CBR service with five vaults; `says_how_many` tells whether it counts them.
async fn five_vaults(says_how_many: bool, most: usize) -> Cloud {
    Cloud::signed_in(move |asked| {
        let all: Vec<_> = (0..5).map(|n| json!({"id": n.to_string()})).collect();
        let from = value(asked, "offset").unwrap_or(0).min(5);
        let limit = value(asked, "limit").unwrap_or(1000).min(most);
        let page = &all[from..(from + limit).min(5)];
        let mut body = json!({"vaults": page});
        if says_how_many {
            body["count"] = json!(5);
        }
        Answer::json(200, body)
    })
    .await
}

#[tokio::test]
async fn offsets_are_counted_up_to_the_end() {
    // Whether the service counts, the most it gives at once, the size asked for, and the requests.
    for (counts, most, size, requests) in [
        (true, 1000, None, 1),
        (false, 1000, None, 1),
        (true, 1000, Some(2), 3),
        (false, 1000, Some(2), 3),
        (false, 1000, Some(5), 2),
        (true, 2, None, 3),
    ] {
        let cloud = five_vaults(counts, most).await;
        let mut pages = cloud.connect().await.cbr().vaults(&VaultQuery::default());
        if let Some(size) = size {
            pages = pages.page_size(size);
        }
        let found = pages.all().await.expect("a list");
        let ids: Vec<_> = found.iter().map(|vault| vault.id.as_str()).collect();
        assert_eq!(ids, ["0", "1", "2", "3", "4"], "{counts} {most} {size:?}");
        assert_eq!(
            cloud.lines().len() - 1,
            requests,
            "{counts} {most} {size:?}"
        );
    }
}

#[tokio::test]
async fn no_more_is_asked_for_than_is_read() {
    let cloud = five_vaults(true, 1000).await;
    let api = cloud.connect().await.cbr();
    let pages = api.vaults(&VaultQuery::default()).page_size(2);
    let first = pages.clone().first().await.expect("a list").expect("one");
    assert_eq!(first.id.as_str(), "0");
    assert_eq!(cloud.lines().len(), 2);

    let mut stream = pages.clone().skip(1).at_most(3).stream();
    let mut ids = Vec::new();
    while let Some(vault) = stream.next().await {
        ids.push(vault.expect("a vault").id.0);
    }
    assert_eq!(ids, ["1", "2", "3"]);
    assert_eq!(cloud.lines().len(), 4);
}

#[tokio::test]
async fn an_error_ends_a_list() {
    let cloud = Cloud::signed_in(|asked| match value(asked, "offset") {
        Some(0) => Answer::json(200, json!({"vaults": [{"id": "a"}], "count": 2})),
        _ => Answer::json(
            400,
            json!({"error_code": "BackupService.9900", "error_msg": "no"}),
        ),
    })
    .await;
    let api = cloud.connect().await.cbr();
    let mut stream = api.vaults(&VaultQuery::default()).stream();
    assert!(stream.next().await.is_some_and(|item| item.is_ok()));
    let error = stream.next().await.expect("an end").expect_err("refused");
    let refusal = error.refusal().expect("a refusal");
    assert_eq!(refusal.code.as_deref(), Some("BackupService.9900"));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_service_that_pays_no_heed_to_markers_is_found_out() {
    let cloud = Cloud::signed_in(|_| Answer::json(200, json!({"members": [{"id": "a"}]}))).await;
    let api = cloud.connect().await.cbr();
    let error = api
        .members(&BackupId::from("b"), &MemberQuery::default())
        .page_size(1)
        .all()
        .await
        .expect_err("endless");
    assert!(matches!(error, SdkError::BadAnswer { .. }), "{error}");
    assert_eq!(cloud.lines().len(), 3);
}

#[tokio::test]
async fn lists_are_narrowed_by_all_that_was_said() {
    let cloud = Cloud::signed_in(|asked| {
        let key = if asked.line.contains("operation-logs") {
            "operation_logs"
        } else if asked.line.contains("backups") {
            "backups"
        } else {
            "vaults"
        };
        Answer::json(200, json!({key: []}))
    })
    .await;
    let api = cloud.connect().await.cbr();
    let vaults = VaultQuery {
        ids: vec!["1".into(), "2".into()],
        object_type: Some("disk".into()),
        resource_ids: vec!["r".into(), "s".into()],
        ..VaultQuery::named("a b")
    };
    api.vaults(&vaults).all().await.expect("a list");
    let backups = BackupQuery {
        statuses: vec!["available".into(), "error".into()],
        used_percent: Some(80),
        ..BackupQuery::in_vault(&"v".into())
    };
    api.backups(&backups).all().await.expect("a list");
    let tasks = TaskQuery {
        status: Some("running".into()),
        vault_name: Some("disks".to_owned()),
        ..TaskQuery::default()
    };
    api.tasks(&tasks).all().await.expect("a list");
    assert_eq!(
        cloud.lines()[1..],
        [
            "GET /cbr/v3/p1/vaults?id=1&id=2&name=a+b&object_type=disk&resource_ids=r%2Cs&limit=1000&offset=0",
            "GET /cbr/v3/p1/backups?status=available&status=error&vault_id=v&used_percent=80&limit=1000&offset=0",
            "GET /cbr/v3/p1/operation-logs?status=running&vault_name=disks&limit=1000&offset=0",
        ]
    );
}
