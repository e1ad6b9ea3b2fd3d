use super::*;

fn load(args: ConfigArgs, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_sources(args, |name| {
        env.iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn flags_win_over_environment_over_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emberkeep.toml");
    std::fs::write(
        &path,
        "data_dir = '/file'\nworkers = 2\nlisten = '127.0.0.1:1'\n",
    )
    .unwrap();
    let args = || ConfigArgs {
        file: Some(path.clone()),
        ..ConfigArgs::default()
    };

    let plain = load(args(), &[]).unwrap();
    assert_eq!(
        (plain.data_dir.as_path(), plain.workers),
        (Path::new("/file"), 2)
    );
    let env = [
        ("EMBERKEEP_DATA_DIR", "/env"),
        ("EMBERKEEP_LISTEN", "127.0.0.1:2"),
    ];
    let from_env = load(args(), &env).unwrap();
    assert_eq!(
        (
            from_env.data_dir.as_path(),
            from_env.listen[0].address.port()
        ),
        (Path::new("/env"), 2)
    );
    let flags = ConfigArgs {
        data_dir: Some("/flag".into()),
        listen: Some("127.0.0.1:3".into()),
        ..args()
    };
    let from_flags = load(flags, &env).unwrap();
    assert_eq!(
        (
            from_flags.data_dir.as_path(),
            from_flags.listen[0].address.port()
        ),
        (Path::new("/flag"), 3)
    );
}

#[test]
fn a_keystone_is_found_by_file_and_environment() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emberkeep.toml");
    let text = "identity = 'keystone'\n[keystone]\nauth_url = 'http://k:5000'\nusername = 'ember'\n[policy]\n'backup:create' = 'reader'\n[quotas]\nbackups = 5\n";
    std::fs::write(&path, text).unwrap();
    let args = ConfigArgs {
        file: Some(path),
        ..ConfigArgs::default()
    };
    let env = [
        ("EMBERKEEP_KEYSTONE_PASSWORD_FILE", "/run/secret"),
        ("EMBERKEEP_KEYSTONE_USERNAME", "other"),
    ];
    let config = load(args, &env).unwrap();
    let IdentityConfig::Keystone(keystone) = config.identity else {
        panic!("{:?}", config.identity);
    };
    assert_eq!(
        (keystone.auth_url.as_str(), keystone.username.as_str()),
        ("http://k:5000", "other")
    );
    assert_eq!(
        (
            keystone.project_name.as_str(),
            keystone.user_domain_name.as_str()
        ),
        ("service", "Default")
    );
    assert_eq!((config.quotas.backups, config.quotas.volumes), (5, -1));
}

#[test]
fn tasks_may_take_as_long_as_they_take_unless_told_otherwise() {
    let hours = |args, env: &[(&str, &str)]| load(args, env).unwrap().task_timeout_hours;
    assert_eq!(hours(ConfigArgs::default(), &[]), 0);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emberkeep.toml");
    std::fs::write(&path, "task_timeout_hours = 48\n").unwrap();
    let args = || ConfigArgs {
        file: Some(path.clone()),
        ..ConfigArgs::default()
    };
    assert_eq!(hours(args(), &[]), 48);
    let env = [("EMBERKEEP_TASK_TIMEOUT_HOURS", "8760")];
    assert_eq!(hours(args(), &env), 8760);
}

#[test]
fn mistakes_are_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emberkeep.toml");
    std::fs::write(&path, "data_dri = '/x'\n").unwrap();
    let file = ConfigArgs {
        file: Some(path),
        ..ConfigArgs::default()
    };
    assert!(matches!(load(file, &[]), Err(ConfigError::Syntax { .. })));
    let absent = ConfigArgs {
        file: Some("/nonexistent".into()),
        ..ConfigArgs::default()
    };
    assert!(matches!(
        load(absent, &[]),
        Err(ConfigError::Unreadable { .. })
    ));
    for (what, env) in [
        ("no address", ("EMBERKEEP_LISTEN", "everywhere")),
        ("no number", ("EMBERKEEP_WORKERS", "many")),
        ("out of range", ("EMBERKEEP_WORKERS", "0")),
        ("no network", ("EMBERKEEP_TRUSTED_PROXIES", "proxy")),
        ("no patience", ("EMBERKEEP_IDLE_SECS", "0")),
        ("no hours", ("EMBERKEEP_TASK_TIMEOUT_HOURS", "half")),
        ("beyond a year", ("EMBERKEEP_TASK_TIMEOUT_HOURS", "8761")),
        ("no pace", ("EMBERKEEP_STORE_WRITE_MIB_S", "-1")),
        ("beyond any disk", ("EMBERKEEP_STORE_READ_MIB_S", "1048577")),
        ("no key", ("EMBERKEEP_TLS_CERTIFICATE", "/c.pem")),
        ("no identity", ("EMBERKEEP_IDENTITY", "ldap")),
        ("a keystone nowhere", ("EMBERKEEP_IDENTITY", "keystone")),
        ("less than nothing", ("EMBERKEEP_QUOTA_BACKUPS", "-2")),
        (
            "no URL",
            ("EMBERKEEP_PUBLIC_ENDPOINT", "backup.example.org"),
        ),
    ] {
        let refused = load(ConfigArgs::default(), &[env]);
        assert!(matches!(refused, Err(ConfigError::Value { .. })), "{what}");
    }
}

#[test]
fn a_file_that_others_may_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("emberkeep.toml");
    std::fs::write(&path, "workers = 3\n").unwrap();
    for (mode, refused) in [
        (0o644, false),
        (0o600, false),
        (0o640, false),
        (0o664, true),
        (0o646, true),
    ] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let args = ConfigArgs {
            file: Some(path.clone()),
            ..ConfigArgs::default()
        };
        match (Config::from_sources(args, |_| None), refused) {
            (Ok(config), false) => assert_eq!(config.workers, 3),
            (Err(ConfigError::OpenToOthers { mode: told, .. }), true) => assert_eq!(told, mode),
            (other, _) => panic!("{mode:o}: {other:?}"),
        }
    }
}
