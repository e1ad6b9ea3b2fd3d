//! The calls that block, from a thread without a runtime.

use crate::cloud;

use cloud::{Answer, Cloud};
use emberkeep_sdk::block_storage::VolumeQuery;
use emberkeep_sdk::blocking::Connection;
use emberkeep_sdk::cbr::VaultQuery;
use serde_json::json;

#[test]
fn calls_return_when_they_are_done() {
    // The cloud has threads of its own; the calls are made on this one.
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let cloud = runtime.block_on(Cloud::signed_in(|asked| {
        let key = if asked.line.contains("/volumes/") {
            "volumes"
        } else {
            "vaults"
        };
        Answer::json(200, json!({key: [{"id": "a", "name": "n"}], "count": 1}))
    }));
    let connection = Connection::open(cloud.config()).expect("signed in");
    let vaults = connection.cbr().vaults(&VaultQuery::default());
    assert_eq!(vaults.expect("a list")[0].id.as_str(), "a");
    let volumes = connection.block_storage().volumes(&VolumeQuery::default());
    assert_eq!(volumes.expect("a list").len(), 1);
    let project = connection.run(|inner| async move { inner.project_id().await });
    assert_eq!(project.as_deref(), Some("p1"));
    assert_eq!(cloud.lines().len(), 4);
}
