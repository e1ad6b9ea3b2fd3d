//! Volumes, snapshots and types: bodies as the clients send them, views with Cinder's fields in its order.

use std::collections::BTreeMap;

use emberkeep_model::command::NewVolume;
use emberkeep_model::{
    BackupId, Gib, ProjectId, Snapshot, SnapshotId, SnapshotStatus, Timestamp, UserId, Volume,
    VolumeId, VolumeStatus, VolumeType, VolumeTypeId,
};
use emberkeep_wire::cinder::{
    Json, Limits, Microversion, Most, ResourceFilters, Site, SnapshotView, Usage, VolumeAction,
    VolumeDetail, VolumeSummary, VolumeTypeView, new_snapshot, new_volume, snapshot_edit,
    volume_edit,
};
use insta::assert_snapshot;

const ID: &str = "b5578821-5a02-435d-9b3a-ef5b91b65eb7";

fn read(body: &str) -> Json {
    Json::read(body.as_bytes()).expect(body)
}

fn create(body: &str, minor: u16) -> Result<NewVolume, String> {
    new_volume(&read(body), Microversion::v3(minor)).map_err(|fault| fault.message)
}

#[test]
fn what_openstackclient_sends_makes_a_volume() {
    let body = r#"{"volume": {"size": 1, "source_volid": null, "name": " v1 ", "description": null,
        "backup_id": null, "snapshot_id": null, "metadata": null, "volume_type": null,
        "consistencygroup_id": null, "imageRef": null, "availability_zone": null}}"#;
    assert_eq!(
        create(body, 71),
        Ok(NewVolume {
            size: Some(Gib(1)),
            name: Some("v1".to_owned()),
            description: None,
            volume_type: None,
            availability_zone: None,
            metadata: BTreeMap::new(),
            snapshot_id: None,
            source_volume_id: None,
            backup_id: None,
        })
    );
}

#[test]
fn volumes_are_made_or_refused() {
    let id: BackupId = ID.parse().expect("is an id");
    let from_backup = format!(r#"{{"volume": {{"backup_id": "{ID}"}}}}"#);
    for minor in [46, 47] {
        let backup_id = create(&from_backup, minor).map(|new| new.backup_id);
        assert_eq!(backup_id, Ok(Some(id)), "3.{minor}");
    }
    let gone = create(r#"{"volume": {"backup_id": "x"}}"#, 46);
    assert_eq!(gone, Err("Backup x could not be found.".to_owned()));
    let no_size = "The server could not comply with the request since it is either malformed or otherwise incorrect.";
    assert_eq!(
        create(r#"{"volume": {"size": "3", "strange": 1}}"#, 52).map(|n| n.size),
        Ok(Some(Gib(3)))
    );
    for (body, want) in [
        (
            r#"{"volume": {"size": 1, "strange": 1}}"#.to_owned(),
            "Invalid input for field/attribute volume. Value: {'size': 1, 'strange': 1}. \
             Additional properties are not allowed ('strange' was unexpected)",
        ),
        (
            r#"{"volume": {"size": 0}}"#.to_owned(),
            "Invalid input for field/attribute size. Value: 0. 0 is less than the minimum of 1",
        ),
        (r#"{"volume": {}}"#.to_owned(), no_size),
        (
            r#"{"volume": {"size": 1, "imageRef": "cirros"}}"#.to_owned(),
            "Invalid image identifier or unable to access requested image.",
        ),
        (
            format!(r#"{{"volume": {{"snapshot_id": "{ID}", "source_volid": "{ID}"}}}}"#),
            "Invalid input received: May specify only one of backup, imageRef, snapshot, source volume",
        ),
        (
            r#"{"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {}, "x": 1}"#.to_owned(),
            "Additional properties are not allowed ('x' was unexpected)",
        ),
    ] {
        assert_eq!(create(&body, 71), Err(want.to_owned()), "{body}");
    }
}

#[test]
fn actions_are_one_key() {
    let parse = |body: &str| {
        VolumeAction::read(&read(body), Microversion::MAX).map_err(|fault| fault.message)
    };
    assert_eq!(
        parse(r#"{"os-extend": {"new_size": 2}}"#),
        Ok(VolumeAction::Extend(Gib(2)))
    );
    assert_eq!(
        parse(r#"{"os-set_bootable": {"bootable": "True"}}"#),
        Ok(VolumeAction::SetBootable(true))
    );
    for (body, want) in [
        (
            r#"{"os-extend": {"new_size": 2}, "x": 1}"#,
            "Malformed request body",
        ),
        ("[]", "Malformed request body"),
        (
            r#"{"os-fly": {}}"#,
            "There is no such action: os-fly. Verify the request body and Content-Type header and try again.",
        ),
        (
            r#"{"os-extend": {}}"#,
            "Invalid input for field/attribute os-extend. Value: {}. 'new_size' is a required property",
        ),
        (
            r#"{"os-extend": {"new_size": "big"}}"#,
            "Invalid input for field/attribute new_size. Value: big. 'big' does not match '^[0-9]+$'",
        ),
    ] {
        assert_eq!(parse(body), Err(want.to_owned()), "{body}");
    }
}

#[test]
fn changes_tell_null_from_not_given() {
    let body = read(r#"{"volume": {"name": null, "display_description": " d "}}"#);
    let update = volume_edit(&body, Microversion::MAX).expect("is good");
    assert_eq!(update.name, Some(None));
    assert_eq!(update.description, Some(Some("d".to_owned())));
    assert_eq!(update.metadata, None);
    let empty = read(r#"{"volume": {}}"#);
    assert!(volume_edit(&empty, Microversion::v3(52)).is_ok());
    assert!(volume_edit(&empty, Microversion::v3(53)).is_err());
    let empty = read(r#"{"snapshot": {}}"#);
    assert!(snapshot_edit(&empty, Microversion::MIN).is_err());
    let new = read(&format!(
        r#"{{"snapshot": {{"volume_id": "{ID}", "force": true, "name": null, "description": null, "metadata": {{}}}}}}"#
    ));
    let new = new_snapshot(&new, Microversion::MIN).expect("is good");
    assert!(new.force);
    assert_eq!(new.name, None);
}

fn volume() -> Volume {
    Volume {
        id: ID.parse().expect("is an id"),
        project_id: "42e61194a28049fd9ab5b1270cf2b355"
            .parse::<ProjectId>()
            .expect("is an id"),
        user_id: "3f2af87d46014914b36b3f225e97372a"
            .parse::<UserId>()
            .expect("is an id"),
        name: Some("v1".to_owned()),
        description: None,
        size: Gib(2),
        status: VolumeStatus::InUse,
        previous_status: None,
        volume_type_id: Some(
            "e65a9c59-71ed-40dc-b473-03c8fab52fd2"
                .parse::<VolumeTypeId>()
                .expect("is an id"),
        ),
        availability_zone: "nova".to_owned(),
        bootable: true,
        metadata: BTreeMap::from([("m".to_owned(), "1".to_owned())]),
        snapshot_id: None,
        source_volume_id: Some(
            "eb7de840-5fb3-493f-8d1e-02523aeb7199"
                .parse::<VolumeId>()
                .expect("is an id"),
        ),
        readonly: None,
        image_metadata: BTreeMap::new(),
        growing_to: None,
        created_at: Timestamp(1_719_835_284_262_108),
        updated_at: None,
        revision: 0,
    }
}

fn text(view: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(view).expect("serialises")
}

fn site() -> Site {
    Site {
        base: "http://h:1/volume".to_owned(),
        project: None,
    }
}

#[test]
fn volumes_are_shown() {
    let volume = volume();
    let view = |minor, admin| {
        VolumeDetail::new(
            &volume,
            Some("standard"),
            &site(),
            Microversion::v3(minor),
            admin,
        )
    };
    assert_snapshot!("volume_created_at_3_0", text(&view(0, false)));
    assert_snapshot!(
        "volume_shown_at_3_0",
        text(&view(0, false).with_owner(&volume, false))
    );
    assert_snapshot!(
        "volume_shown_to_admin_at_3_71",
        text(&view(71, true).with_owner(&volume, true))
    );
    assert_eq!(
        serde_json::to_string(&VolumeSummary::new(&volume, &site())).expect("serialises"),
        format!(
            r#"{{"id":"{ID}","name":"v1","links":[{{"rel":"self","href":"http://h:1/volume/v3/volumes/{ID}"}},{{"rel":"bookmark","href":"http://h:1/volume/volumes/{ID}"}}]}}"#
        )
    );
}

#[test]
fn snapshots_are_shown() {
    let volume = volume();
    let snapshot = Snapshot {
        id: "e65a9c59-71ed-40dc-b473-03c8fab52fd2"
            .parse::<SnapshotId>()
            .expect("is an id"),
        volume_id: volume.id,
        project_id: volume.project_id.clone(),
        user_id: volume.user_id.clone(),
        name: None,
        description: Some("d".to_owned()),
        size: Gib(2),
        status: SnapshotStatus::Available,
        progress: 100,
        metadata: BTreeMap::new(),
        created_at: volume.created_at,
        updated_at: Some(volume.created_at),
        revision: 0,
    };
    assert_snapshot!(
        "snapshot_in_a_short_list",
        text(&SnapshotView::summary(&snapshot))
    );
    assert_snapshot!(
        "snapshot_shown_at_3_0",
        text(&SnapshotView::detail(&snapshot, Microversion::MIN).with_owner(&snapshot))
    );
    assert_snapshot!(
        "snapshot_shown_at_3_71",
        text(&SnapshotView::detail(&snapshot, Microversion::MAX).with_owner(&snapshot))
    );
}

#[test]
fn types_limits_and_filters_are_shown() {
    let kind = VolumeType {
        id: "e65a9c59-71ed-40dc-b473-03c8fab52fd2"
            .parse()
            .expect("is an id"),
        name: "standard".to_owned(),
        description: None,
        is_public: true,
        extra_specs: BTreeMap::from([
            ("multiattach".to_owned(), "<is> False".to_owned()),
            ("secret".to_owned(), "x".to_owned()),
        ]),
        access: Vec::new(),
        created_at: Timestamp(0),
        revision: 0,
    };
    assert_snapshot!(
        "type_shown_to_member",
        text(&VolumeTypeView::new(&kind, false))
    );
    assert_snapshot!(
        "type_shown_to_admin",
        text(&VolumeTypeView::new(&kind, true))
    );
    let usage = Usage {
        volumes: 1,
        gigabytes: 4,
        snapshots: 2,
        backups: 3,
        backup_gigabytes: 6,
    };
    let most = Most {
        volumes: 10,
        snapshots: 10,
        gigabytes: 1000,
        backups: 10,
        backup_gigabytes: -1,
    };
    assert_snapshot!("limits", text(&Limits::new(most, Some(usage))));
    assert_eq!(
        serde_json::to_string(&ResourceFilters::of(Some("backup"))).expect("serialises"),
        r#"[{"resource":"backup","filters":["name","status","volume_id"]}]"#
    );
}
