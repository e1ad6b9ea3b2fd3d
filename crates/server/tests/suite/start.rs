//! Starting over what is there: the right key, the wrong one, none, and a second process.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use emberkeep_keys::MasterKey;
use emberkeep_server::{Config, ConfigArgs, Listen, StartError, start};

fn config(dir: &Path) -> Config {
    let args = ConfigArgs {
        data_dir: Some(dir.to_owned()),
        listen: Some("127.0.0.1:0".into()),
        ..ConfigArgs::default()
    };
    Config::from_sources(args, |_| None).unwrap()
}

async fn refusal(dir: &Path) -> StartError {
    start(config(dir))
        .await
        .err()
        .expect("the start is refused")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_makes_private_files_and_the_next_finds_them() {
    let dir = tempfile::tempdir().unwrap();
    let running = start(config(dir.path())).await.unwrap();
    let url = running.url().to_owned();
    let mode = |name: &str| {
        fs::metadata(dir.path().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!((mode("master.key"), mode("clouds.yaml")), (0o600, 0o600));
    let clouds = fs::read_to_string(dir.path().join("clouds.yaml")).unwrap();
    assert!(clouds.contains(&format!("auth_url: {url}/identity/v3")));
    let key = fs::read(dir.path().join("master.key")).unwrap();

    let second = refusal(dir.path()).await;
    assert!(
        second
            .to_string()
            .contains("in use by another emberkeep process"),
        "{second}"
    );
    running.shutdown().await;

    let again = start(config(dir.path())).await.unwrap();
    assert_eq!(fs::read(dir.path().join("master.key")).unwrap(), key);
    let readdressed = fs::read_to_string(dir.path().join("clouds.yaml")).unwrap();
    assert_eq!(
        readdressed,
        clouds.replace(&url, again.url()),
        "same password, new address"
    );
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_is_never_made_anew_over_data() {
    let dir = tempfile::tempdir().unwrap();
    start(config(dir.path())).await.unwrap().shutdown().await;
    let path = dir.path().join("master.key");
    let kept = fs::read(&path).unwrap();

    fs::remove_file(&path).unwrap();
    let missing = refusal(dir.path()).await;
    assert!(matches!(missing, StartError::Key { .. }), "{missing}");
    assert!(!path.exists());

    fs::write(&path, &kept[..kept.len() / 2]).unwrap();
    let damaged = refusal(dir.path()).await;
    assert!(matches!(damaged, StartError::Key { .. }), "{damaged}");

    fs::remove_file(&path).unwrap();
    MasterKey::create(&path).unwrap();
    let wrong = refusal(dir.path()).await;
    assert!(matches!(wrong, StartError::Repository(_)), "{wrong}");

    fs::write(&path, &kept).unwrap();
    start(config(dir.path())).await.unwrap().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_comes_from_a_credential_or_a_command_and_is_not_made_there() {
    let dir = tempfile::tempdir().unwrap();
    let given = tempfile::tempdir().unwrap();
    let credential = given.path().join("emberkeep.master-key");
    let kept = MasterKey::create(&credential).unwrap();
    let with = |credentials: bool, command: Option<&str>| {
        let mut config = config(dir.path());
        config.credentials_directory = credentials.then(|| given.path().to_owned());
        config.master_key_command = command.map(str::to_owned);
        config
    };
    let before = fs::read(&credential).unwrap();
    start(with(true, None)).await.unwrap().shutdown().await;
    let key_file = dir.path().join("master.key");
    assert!(!key_file.exists(), "the credential is the key");
    let wrapped = dir
        .path()
        .join("repository/keys/master")
        .join(kept.id().to_string());
    assert!(wrapped.exists());
    let cat = format!("cat '{}'", credential.display());
    start(with(false, Some(&cat)))
        .await
        .unwrap()
        .shutdown()
        .await;
    let failing = start(with(false, Some("exit 7"))).await.err();
    assert!(
        matches!(failing, Some(StartError::Key { .. })),
        "{failing:?}"
    );
    let missing = start(with(false, None)).await.err();
    assert!(
        matches!(missing, Some(StartError::Key { .. })),
        "{missing:?}"
    );
    assert!(!key_file.exists(), "no key is made over existing data");
    assert_eq!(fs::read(&credential).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_repository_is_not_replaced_by_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    start(config(dir.path())).await.unwrap().shutdown().await;
    fs::rename(dir.path().join("repository"), dir.path().join("elsewhere")).unwrap();
    let lost = refusal(dir.path()).await;
    assert!(matches!(lost, StartError::RepositoryGone { .. }), "{lost}");
    assert!(!dir.path().join("repository").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_use_is_told() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut config = config(dir.path());
    config.listen = vec![Listen::plain(taken.local_addr().unwrap())];
    let refused = start(config).await.err().expect("the address is taken");
    assert!(matches!(refused, StartError::Listen { .. }), "{refused}");
}
