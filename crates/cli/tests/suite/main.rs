//! The SDK against the service itself: every call of every API is made, every answer is
//! understood, and none holds anything that the shapes have no field for.

mod administration;
mod block_storage;
mod cbr;
mod complete;
mod native;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use emberkeep_sdk::block_storage::NewVolume;
use emberkeep_sdk::{CloudConfig, Connection, Gib, VolumeId, Wait};
use emberkeep_server::{Config, ConfigArgs, Running};
use tempfile::TempDir;

/// The region that takes copies.
const ELSEWHERE: &str = "RegionTwo";

/// Starts a service that has all there is: another region, a place for file systems, NBD.
async fn served() -> (TempDir, Running, CloudConfig) {
    let dir = tempfile::tempdir().expect("a directory");
    let args = ConfigArgs {
        data_dir: Some(dir.path().join("data")),
        listen: Some("127.0.0.1:0".to_owned()),
        ..ConfigArgs::default()
    };
    let env = |key: &str| match key {
        "EMBERKEEP_REPLICAS" => Some(format!("{ELSEWHERE}={}", text(&dir.path().join("away")))),
        "EMBERKEEP_TURBO_ROOTS" => Some(text(&shared(&dir))),
        "EMBERKEEP_NBD_LISTEN" => Some(format!("unix:{}", text(&dir.path().join("nbd")))),
        _ => None,
    };
    std::fs::create_dir(shared(&dir)).expect("made");
    let config = Config::from_sources(args, env).expect("is good");
    let running = emberkeep_server::start(config).await.expect("starts");
    let file = dir.path().join("data/clouds.yaml");
    let cloud = CloudConfig::from_file(&file, Some("emberkeep")).expect("written");
    (dir, running, cloud)
}

/// Where file systems may lie.
fn shared(dir: &TempDir) -> std::path::PathBuf {
    dir.path().join("shared")
}

fn text(path: &Path) -> String {
    path.to_str().expect("is text").to_owned()
}

fn soon() -> Wait {
    Wait::timeout(Duration::from_secs(60)).every(Duration::from_millis(50))
}

fn pairs(key: &str, value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(key.to_owned(), value.to_owned())])
}

/// Makes a volume and waits for it.
async fn volume(cloud: &Connection, name: &str) -> VolumeId {
    let api = cloud.block_storage();
    let new = NewVolume {
        name: Some(name.to_owned()),
        size: Some(Gib(1)),
        metadata: pairs("a", "b"),
        ..NewVolume::default()
    };
    let made = api.create_volume(&new).await.expect("made");
    let ready = api.wait_for_volume(&made.id, "available", soon()).await;
    let ready = ready.expect("ready");
    assert!(ready.more.is_empty(), "{:?}", ready.more);
    assert_eq!(ready.metadata, pairs("a", "b"));
    ready.id
}
