//! Bodies of each kind: the least that clients may send, and all that the service knows.

use std::collections::BTreeMap;

use model::{Limit, OperationDefinition, VolumeId};

use super::*;
use crate::request::samples::Sampled;

macro_rules! sampled {
    ($($kind:ty => $samples:expr;)*) => {$(
        impl Sampled for $kind {
            fn samples() -> Vec<Self> {
                $samples
            }

            fn read_back(body: &[u8]) -> Result<Self, String> {
                serde_json::from_slice(body).map_err(|error| error.to_string())
            }
        }
    )*};
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn pairs() -> BTreeMap<String, String> {
    BTreeMap::from([("team".to_owned(), "a".to_owned())])
}

fn volumes() -> Vec<VolumeId> {
    vec![
        VolumeId(uuid::Uuid::from_u128(1)),
        VolumeId(uuid::Uuid::from_u128(2)),
    ]
}

sampled! {
    NewServer => vec![
        NewServer { name: "web".to_owned(), volumes: volumes(), ..NewServer::default() },
        NewServer {
            name: "web".to_owned(),
            description: text("of team A"),
            os_type: text("Linux"),
            architecture: text("x86_64"),
            metadata: pairs(),
            volumes: volumes(),
        },
    ];
    ServerVolumes => vec![ServerVolumes { volumes: volumes() }];
    NewFileSystem => vec![
        NewFileSystem {
            name: "home".to_owned(),
            path: "/srv/home".to_owned(),
            ..NewFileSystem::default()
        },
        NewFileSystem {
            name: "home".to_owned(),
            description: text("of team A"),
            path: "/srv/home".to_owned(),
            project_id: "5b1e9d0c7a3f4e2d8c6b0a1f2e3d4c5b".parse().ok(),
            metadata: pairs(),
        },
    ];
    PolicyTrial => vec![
        PolicyTrial::default(),
        PolicyTrial {
            operation_definition: Some(OperationDefinition {
                max_backups: Some(Limit(3)),
                ..OperationDefinition::default()
            }),
            pattern: Some(vec!["FREQ=DAILY;BYHOUR=1;BYMINUTE=00".to_owned()]),
            zone: text("Europe/Berlin"),
        },
    ];
}
