//! Bodies of each kind: the least that clients may send, and all that the service knows.

use emberkeep_model::{Gib, Tag};

use super::*;
use crate::cbr::{
    BillingExtra, BindRules, IncludeVolume, OperationDefinition, Parameters, ResourceDetails,
    ResourceExtra, word,
};
use crate::ids::{BackupId, ProjectId, VaultId, VolumeId};
use crate::request::samples::Sampled;

const ONE: &str = "2f1d7b1e-59a4-4b50-8d7d-9a9d3b1c5e02";
const OTHER: &str = "b0a7c1d2-3e4f-4a5b-8c6d-7e8f9a0b1c2d";
const PROJECT: &str = "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b";

macro_rules! sampled {
    ($($kind:ty => $samples:expr;)*) => {$(
        impl Sampled for $kind {
            fn samples() -> Vec<Self> {
                $samples
            }

            fn read_back(body: &[u8]) -> Result<Self, String> {
                Self::read(body).map_err(|refused| refused.to_string())
            }
        }
    )*};
}

fn tag() -> Tag {
    Tag {
        key: "team".to_owned(),
        value: "a.b".to_owned(),
    }
}

fn two() -> Vec<ResourceId> {
    vec![ONE.into(), OTHER.into()]
}

fn disks() -> ResourceExtra {
    ResourceExtra {
        exclude_volumes: vec![ONE.into()],
        include_volumes: vec![
            IncludeVolume {
                id: OTHER.into(),
                os_version: Some("Debian 13".to_owned()),
            },
            IncludeVolume {
                id: ONE.into(),
                os_version: None,
            },
        ],
    }
}

fn server() -> AddResource {
    AddResource {
        id: ONE.into(),
        kind: word::ResourceType::Server,
        name: Some("web".to_owned()),
        extra_info: Some(disks()),
    }
}

fn vaults() -> Vec<NewVault> {
    let mut all = NewVault::for_servers("all_of-it", Gib(100));
    all.description = Some("of team A".to_owned());
    all.billing = NewBilling {
        size: Gib(100),
        object_type: word::ObjectType::Server,
        protect_type: word::ProtectType::Replication,
        consistent_level: word::ConsistentLevel::Application,
        cloud_type: Some(word::CloudType::Public),
        charging_mode: Some(word::ChargingMode::PostPaid),
        period_type: Some(word::PeriodType::Year),
        period_num: Some(2),
        is_auto_renew: Some(true),
        is_auto_pay: Some(false),
        console_url: Some("https://console.example".to_owned()),
        extra_info: Some(BillingExtra {
            combined_order_id: Some("o".to_owned()),
            combined_order_ecs_num: Some(3),
        }),
        is_multi_az: Some(true),
    };
    all.resources = vec![server(), VolumeId::from(OTHER).into()];
    all.backup_policy_id = Some(ONE.into());
    all.tags = vec![tag()];
    all.auto_bind = Some(true);
    all.bind_rules = Some(BindRules { tags: vec![tag()] });
    all.auto_expand = Some(false);
    all.locked = Some(true);
    all.smn_notify = Some(false);
    all.threshold = Some(91);
    all.enterprise_project_id = Some("0".to_owned());
    all.backup_name_prefix = Some("nightly".to_owned());
    vec![NewVault::for_disks("least", Gib(10)), all]
}

fn vault_changes() -> Vec<VaultChange> {
    let cleared = VaultChange {
        bind_rules: Some(BindRulesChange::default()),
        ..VaultChange::default()
    };
    let all = VaultChange {
        name: Some("new".to_owned()),
        size: Some(Gib(7)),
        auto_bind: Some(false),
        bind_rules: Some(BindRulesChange { tags: vec![tag()] }),
        auto_expand: Some(true),
        smn_notify: Some(true),
        threshold: Some(1),
        locked: Some(true),
    };
    vec![VaultChange::default(), cleared, all]
}

fn checkpoints() -> Vec<NewCheckpoint> {
    let least = NewCheckpoint::of(&ONE.into());
    let mut named = least.clone();
    named.parameters = Parameters {
        name: Some("before".to_owned()),
        description: Some("the upgrade".to_owned()),
        auto_trigger: Some(true),
        incremental: Some(false),
        resources: two(),
        resource_details: vec![],
        policy_id: Some(ONE.into()),
        retention_duration_days: Some(-1),
    };
    let mut detailed = least.clone();
    detailed.parameters.retention_duration_days = Some(30);
    detailed.parameters.resource_details = vec![ResourceDetails {
        id: ONE.into(),
        name: Some("web".to_owned()),
        resource_type: word::ResourceType::Server,
        extra_info: Some(disks()),
    }];
    vec![least, named, detailed]
}

fn targets() -> Vec<RestoreTarget> {
    let mut all = RestoreTarget::server(&ONE.into());
    all.volume_id = Some(OTHER.into());
    all.resource_id = Some(ONE.into());
    all.power_on = Some(false);
    all.mappings = vec![Mapping {
        backup_id: ONE.into(),
        volume_id: OTHER.into(),
    }];
    vec![RestoreTarget::volume(&ONE.into()), all]
}

fn definition() -> OperationDefinition {
    OperationDefinition {
        max_backups: Some(14),
        retention_duration_days: Some(-1),
        day_backups: Some(7),
        week_backups: Some(4),
        month_backups: Some(12),
        year_backups: Some(0),
        timezone: Some("UTC+02:00".to_owned()),
        destination_region: Some("eu-nl".to_owned()),
        destination_project_id: Some(PROJECT.into()),
        full_backup_interval: Some(-1),
    }
}

fn policies() -> Vec<NewPolicy> {
    let least = NewPolicy::backup("nightly", ["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00"]);
    let all = NewPolicy {
        operation_type: word::OperationType::Replication,
        operation_definition: definition(),
        enabled: Some(false),
        ..least.clone()
    };
    vec![least, all]
}

fn policy_changes() -> Vec<PolicyChange> {
    let all = PolicyChange {
        name: Some("weekly".to_owned()),
        enabled: Some(true),
        operation_type: Some(word::OperationType::Backup),
        operation_definition: Some(definition()),
        pattern: Some(vec!["FREQ=WEEKLY;BYDAY=MO;BYHOUR=1;BYMINUTE=00".to_owned()]),
    };
    vec![PolicyChange::default(), all]
}

fn replications() -> Vec<NewReplication> {
    let least = NewReplication {
        destination_project_id: ProjectId::from(PROJECT),
        destination_region: "eu-nl".to_owned(),
        destination_vault_id: VaultId::from(ONE),
        name: None,
        description: None,
        auto_trigger: None,
        enable_acceleration: None,
    };
    let all = NewReplication {
        name: Some("copy".to_owned()),
        description: Some("far away".to_owned()),
        enable_acceleration: Some(true),
        ..least.clone()
    };
    vec![least, all]
}

fn vault_replications() -> Vec<VaultReplication> {
    let [least, all] = [None, Some(true)].map(|yes| VaultReplication {
        vault_id: ONE.into(),
        to: NewReplication {
            auto_trigger: yes,
            enable_acceleration: yes,
            ..replications().remove(0)
        },
    });
    vec![least, all]
}

fn searches() -> Vec<TagSearch> {
    let condition = |key: &str, values: &[&str]| {
        vec![TagCondition {
            key: key.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }]
    };
    let count = TagSearch {
        action: word::SearchAction::Count,
        limit: None,
        offset: None,
        filter: TagFilter::default(),
    };
    let all = TagSearch {
        action: word::SearchAction::Filter,
        limit: Some(1000),
        offset: Some(2000),
        filter: TagFilter {
            tags: condition("a", &[]),
            tags_any: condition("b", &["1", "*2"]),
            not_tags: condition("c", &[""]),
            not_tags_any: condition("d", &["3"]),
            without_any_tag: Some(true),
            name_part: Some("disk".to_owned()),
            cloud_type: Some(word::CloudType::Hybrid),
            object_type: Some(word::ObjectType::Turbo),
        },
    };
    vec![count, all]
}

sampled! {
    NewVault => vaults();
    VaultChange => vault_changes();
    VaultsChange => vec![
        VaultsChange::default(),
        VaultsChange { smn_notify: Some(true), threshold: Some(100) },
    ];
    NewCheckpoint => checkpoints();
    RestoreTarget => targets();
    Rename => vec![Rename { name: "new".to_owned() }];
    NewPolicy => policies();
    PolicyChange => policy_changes();
    NewReplication => replications();
    VaultReplication => vault_replications();
    VaultToSync => vec![
        VaultToSync { vault_id: ONE.into(), auto_trigger: None },
        VaultToSync { vault_id: ONE.into(), auto_trigger: Some(true) },
    ];
    ResourcesToAdd => vec![ResourcesToAdd { resources: vec![server()] }];
    ResourcesToRemove => vec![ResourcesToRemove { resource_ids: two() }];
    ResourcesToMigrate => vec![
        ResourcesToMigrate { destination_vault_id: ONE.into(), resource_ids: two() },
    ];
    ResourcesToSet => word::ResourceAction::KNOWN
        .iter()
        .map(|action| ResourcesToSet { resource_ids: two(), action: action.clone() })
        .collect();
    ExpiryMove => vec![ExpiryMove {
        day: "2027-03-01".to_owned(),
        time_zone: "UTC-05:30".to_owned(),
    }];
    PolicyBinding => vec![
        PolicyBinding { policy_id: ONE.into(), destination_vault_id: None },
        PolicyBinding { policy_id: ONE.into(), destination_vault_id: Some(OTHER.into()) },
    ];
    NewMembers => vec![NewMembers { members: vec![PROJECT.into()] }];
    MemberChange => vec![
        MemberChange { status: word::MemberStatus::Accepted, vault_id: Some(ONE.into()) },
        MemberChange { status: word::MemberStatus::Rejected, vault_id: None },
    ];
    TagSet => vec![TagSet { tag: tag() }];
    TagsAction => vec![
        TagsAction::Create(vec![tag()]),
        TagsAction::Delete(vec!["team".to_owned()]),
    ];
    TagSearch => searches();
    BackupsToSync => vec![BackupsToSync {
        sync: vec![BackupToSync { backup_id: BackupId::from(ONE) }],
    }];
}
