//! What is written straight from rows says just what the views say.

use emberkeep_model::{
    Backup, BackupId, BackupState, CinderFacts, Gib, SnapshotId, Timestamp, VolumeId,
};
use emberkeep_wire::cinder::{BackupDetail, Listing, Microversion, Resource, ShownBackups, Site};
use uuid::Uuid;

fn plain() -> Backup {
    Backup {
        id: BackupId(Uuid::from_u128(7)),
        project_id: "p1".parse().expect("an id"),
        user_id: "u1".parse().expect("an id"),
        volume_id: VolumeId(Uuid::from_u128(8)),
        volume_name: None,
        snapshot_id: None,
        vault_id: None,
        checkpoint_id: None,
        parent_id: None,
        name: None,
        description: None,
        container: None,
        availability_zone: None,
        metadata: Default::default(),
        size: Gib(1),
        automatic: false,
        state: BackupState::Queued,
        fail_reason: None,
        restore_volume_id: None,
        data_timestamp: Timestamp(1_795_281_876_000_001),
        created_at: Timestamp(1_795_281_876_999_999),
        updated_at: None,
        deleted_at: None,
        damage: None,
        content: None,
        cinder: CinderFacts::default(),
        cbr: Default::default(),
        revision: 0,
    }
}

fn backups() -> Vec<Backup> {
    let odd = "a \"quoted\" \\ text\nwith \u{1} and \u{1f525} in it";
    let pairs = [("k", "v"), (odd, odd), ("", "")];
    let full = Backup {
        snapshot_id: Some(SnapshotId(Uuid::max())),
        parent_id: Some(BackupId(Uuid::from_u128(9))),
        name: Some(odd.to_owned()),
        description: Some(String::new()),
        container: Some("c".to_owned()),
        availability_zone: Some("nova".to_owned()),
        metadata: pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        size: Gib(u32::MAX),
        state: BackupState::Failed {
            reason: "r".to_owned(),
        },
        fail_reason: Some("é".repeat(300)),
        updated_at: Some(Timestamp(-1)),
        cinder: CinderFacts {
            object_count: -3,
            num_dependent_backups: 2,
            encryption_key_id: Some("key".to_owned()),
            ..CinderFacts::default()
        },
        ..plain()
    };
    let without_key = Backup {
        fail_reason: Some("short".to_owned()),
        cinder: CinderFacts {
            encryption_key_id: Some(Uuid::nil().to_string()),
            ..CinderFacts::default()
        },
        ..plain()
    };
    vec![plain(), full, without_key]
}

fn sites() -> [Site; 3] {
    [
        ("http://h:1/volume", Some("p1")),
        ("https://h/pre\"fix/volume", None),
        ("http://h/volume", Some("odd \"project\"")),
    ]
    .map(|(base, project)| Site {
        base: base.to_owned(),
        project: project.map(str::to_owned),
    })
}

#[test]
fn one_and_many_are_shown_as_their_views() {
    let backups = backups();
    for site in sites() {
        for minor in [0, 17, 18, 42, 43, 45, 55, 56, 63, 64, 71] {
            for admin in [false, true] {
                let version = Microversion::v3(minor);
                let shown = ShownBackups::new(&site, version, admin);
                let view = |backup| BackupDetail::new(backup, &site, version, admin);
                for backup in &backups {
                    let view = serde_json::to_string(&view(backup)).expect("is JSON");
                    let written = String::from_utf8(shown.detail(backup)).expect("is text");
                    assert_eq!(written, format!("{{\"backup\":{view}}}"), "3.{minor}");
                }
                for (query, total) in [
                    ("", None),
                    ("limit=3&name=a%22b", None),
                    ("limit=3&with_count=true", Some(3)),
                    ("limit=1&with_count=false", None),
                ] {
                    let Ok(listing) = Listing::parse(query, Resource::Backup, version, true) else {
                        assert!(minor < 45, "{query}");
                        continue;
                    };
                    for rows in [&backups[..], &[]] {
                        let last = rows.last().map(|backup| backup.id.to_string());
                        let page = listing.page(
                            Resource::Backup,
                            "backups/detail",
                            rows.iter().map(view).collect(),
                            last.as_deref(),
                            total,
                            &site,
                        );
                        let written = shown.details(rows.iter(), &listing, total, &site);
                        assert_eq!(
                            String::from_utf8(written).expect("is text"),
                            serde_json::to_string(&page).expect("is JSON"),
                            "3.{minor} {query}"
                        );
                    }
                }
            }
        }
    }
}
