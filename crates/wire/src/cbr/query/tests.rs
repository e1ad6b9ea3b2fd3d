use super::*;

const ID: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn pages_have_limits() {
    for (query, want) in [
        ("", Ok((1000, 0, false))),
        ("limit=1", Ok((1, 0, false))),
        ("limit=1000&offset=7", Ok((1000, 7, false))),
        (
            "offset=7&marker=b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d",
            Ok((1000, 0, true)),
        ),
        ("limit=0", Err("limit: must be a whole number, 1 to 1000")),
        (
            "limit=1001",
            Err("limit: must be a whole number, 1 to 1000"),
        ),
        ("limit=-1", Err("limit: must be a whole number, 1 to 1000")),
        ("limit=x", Err("limit: must be a whole number, 1 to 1000")),
        (
            "offset=-1",
            Err("offset: must be a whole number, 0 to 9223372036854775807"),
        ),
        ("marker=x", Err("marker: 'x' is not a UUID")),
    ] {
        let read = VaultList::parse(&pairs(query));
        let got = read
            .as_ref()
            .map(|list| {
                (
                    list.page.limit,
                    list.page.skip(),
                    list.page.marker.is_some(),
                )
            })
            .map_err(|refused| refused.message.as_str());
        assert_eq!(got, want, "{query}");
    }
}

#[test]
fn vaults_are_asked_for() {
    let list = VaultList::parse(&pairs(&format!(
        "id={ID}&id={ID}&resource_ids={ID},{ID}&resources_ids={ID}&name=a&status=lock"
    )))
    .expect("fine");
    assert_eq!(
        (list.ids.len(), list.resources.len(), list.never),
        (2, 3, false)
    );
    assert_eq!(list.status, Some(VaultStatus::Lock));
    for (query, never) in [
        (
            "object_type=disk&protect_type=backup&cloud_type=public",
            false,
        ),
        ("object_type=rds", true),
        ("protect_type=hybrid", true),
        ("cloud_type=hybrid", true),
        ("status=frozen", false),
        (&format!("policy_id={ID}"), false),
        ("name=&status=", false),
    ] {
        assert_eq!(
            VaultList::parse(&pairs(query)).map(|list| list.never),
            Ok(never),
            "{query}"
        );
    }
    for query in [
        "object_type=tape",
        "status=fine",
        "id=x",
        "resource_ids=x",
        "policy_id=x",
    ] {
        let refused = VaultList::parse(&pairs(query)).expect_err(query);
        let name = query.split('=').next().expect("a name");
        assert!(
            refused.message.starts_with(&format!("{name}: ")),
            "{refused}"
        );
    }
}

#[test]
fn backups_are_asked_for() {
    let list = BackupList::parse(&pairs(
        "status=available&status=error&sort=name:asc,created_at,id:desc&start_time=2018-02-01T12:00:00Z&used_percent=50&incremental=true",
    ))
    .expect("fine");
    assert_eq!(list.states, ["available", "failed", "damaged"]);
    assert_eq!(
        list.sort,
        [
            (BackupSort::Name, Order::Ascending),
            (BackupSort::CreatedAt, Order::Descending),
            (BackupSort::Id, Order::Descending),
        ]
    );
    assert_eq!(list.start_time, Some(Timestamp(1_517_486_400_000_000)));
    assert_eq!(
        (list.used_percent, list.incremental, list.never),
        (Some(50), Some(true), false)
    );
    for (query, never) in [
        ("own_type=private&dec=true&member_status=accept", false),
        ("own_type=all_granted", false),
        ("own_type=shared", false),
        ("image_type=replication", false),
        ("resource_type=OS::Cinder::Volume", false),
        ("resource_type=OS::Nova::Server", false),
        ("status=checkpointing", true),
        (&format!("parent_id={ID}"), false),
    ] {
        assert_eq!(
            BackupList::parse(&pairs(query)).map(|list| list.never),
            Ok(never),
            "{query}"
        );
    }
    for query in [
        "sort=size",
        "sort=name:up",
        "status=x",
        "used_percent=0",
        "start_time=soon",
        "vault_id=1",
        "own_type=mine",
    ] {
        assert!(BackupList::parse(&pairs(query)).is_err(), "{query}");
    }
}

#[test]
fn tasks_are_asked_for() {
    let all = TaskList::parse(&[]).expect("fine");
    assert_eq!(
        all.work,
        [
            "backup",
            "restore",
            "delete_backup",
            "remove_resources",
            "delete_vault",
            "replicate",
            "sync_replicas",
            "move_expiry"
        ]
    );
    let some = TaskList::parse(&pairs(
        "operation_type=delete&status=failed&project_id=whatever&operation_log_id=x",
    ))
    .expect("fine");
    assert_eq!(
        (some.work, some.states, some.never),
        (vec!["delete_backup"], vec!["failed", "cancelled"], false)
    );
    let late = TaskList::parse(&pairs("status=timeout")).expect("fine");
    assert_eq!(late.states, ["timed_out"]);
    for (query, never) in [
        ("operation_type=replication", false),
        ("status=timeout", false),
        ("operation_type=copy", true),
        ("provider_id=d1603440-187d-4516-af25-121250c7cc97", false),
        ("provider_id=0daac4c5-6707-4851-97ba-169e36266b66", false),
    ] {
        assert_eq!(
            TaskList::parse(&pairs(query)).map(|list| list.never),
            Ok(never),
            "{query}"
        );
    }
    for query in [
        "operation_type=sweep",
        "status=available",
        "provider_id=disk",
    ] {
        assert!(TaskList::parse(&pairs(query)).is_err(), "{query}");
    }
}
