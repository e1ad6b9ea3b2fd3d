use std::collections::BTreeMap;

use super::*;

const TWO: &str = "clouds:\n  a:\n    auth: {auth_url: 'http://h/identity/v3', username: u, password: pw, project_name: p}\n    region_name: RegionOne\n  b:\n    auth: {auth_url: 'http://h2', user_id: i, password: 123, project_id: q}\n    interface: internalURL\n";

fn lookup(pairs: &[(&str, &str)]) -> OsArgs {
    let pairs: BTreeMap<String, String> = pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    OsArgs::from_lookup(|name| pairs.get(name).cloned())
}

fn project(named: Named) -> Scope {
    Scope::Project {
        project: named,
        domain: Named::Id("default".to_owned()),
    }
}

#[test]
fn a_named_cloud_is_read_from_the_named_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clouds.yaml");
    std::fs::write(&file, TWO).unwrap();
    let file_text = file.display().to_string();
    let at = |cloud: &str| {
        CloudConfig::discover(&lookup(&[
            ("OS_CLIENT_CONFIG_FILE", &file_text),
            ("OS_CLOUD", cloud),
        ]))
    };

    let a = at("a").unwrap();
    assert_eq!(a.auth_url, "http://h/identity/v3");
    assert!(
        matches!(&a.credentials.method, Method::Password { user: Named::Name(name), .. } if name == "u")
    );
    assert_eq!(a.credentials.scope, project(Named::Name("p".to_owned())));
    assert_eq!(a.interface, "public");
    assert_eq!(a.region.as_deref(), Some("RegionOne"));

    let b = at("b").unwrap();
    assert!(
        matches!(&b.credentials.method, Method::Password { user: Named::Id(id), password, .. }
            if id == "i" && password.expose() == "123")
    );
    assert_eq!(b.interface, "internal");

    let words = at("c").unwrap_err().to_string();
    assert!(
        words.ends_with("holds no cloud 'c' (it holds a, b)"),
        "{words}"
    );
    let words = at("").unwrap_err().to_string();
    assert!(words.contains("several clouds (it holds a, b)"), "{words}");
}

#[test]
fn secrets_and_profiles_are_laid_over_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clouds.yaml");
    std::fs::write(
        &file,
        "clouds:\n  home:\n    profile: house\n    auth: {username: u, project_name: p}\n    cbr_endpoint_override: http://h/cbr\n    block_storage_default_microversion: '3.50'\n    api_timeout: 7\n  t:\n    profile: otc\n    auth: {username: u, project_id: p, password: x}\n    region_name: eu-nl\n  gone:\n    profile: nowhere\n    auth: {username: u}\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("secure.yaml"),
        "clouds:\n  home:\n    auth: {password: hidden, username: other}\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("clouds-public.yaml"),
        "public-clouds:\n  house:\n    auth: {auth_url: 'https://%(region_name)s.example.org/v3', project_name: wrong}\n    regions: [{name: north}, south]\n    verify: false\n",
    )
    .unwrap();
    let home = CloudConfig::from_file(&file, Some("home")).unwrap();
    assert_eq!(home.auth_url, "https://north.example.org/v3");
    assert_eq!(home.credentials.scope, project(Named::Name("p".to_owned())));
    assert!(
        matches!(&home.credentials.method, Method::Password { user: Named::Name(name), password, .. }
            if name == "other" && password.expose() == "hidden")
    );
    assert!(!home.verify);
    assert_eq!(home.endpoints["cbr"], "http://h/cbr");
    assert_eq!(home.block_storage_version, Some(Microversion::v3(50)));
    assert_eq!(home.timeouts.total, Duration::from_secs(7));
    assert!(!format!("{home:?}").contains("hidden"));

    let otc = CloudConfig::from_file(&file, Some("t")).unwrap();
    assert_eq!(otc.auth_url, "https://iam.eu-nl.otc.t-systems.com/v3");
    assert!(matches!(
        CloudConfig::from_file(&file, Some("gone")),
        Err(ConfigError::NoSuchProfile { .. })
    ));
}

#[test]
fn variables_are_enough() {
    let args = lookup(&[
        ("OS_AUTH_URL", "http://h:5000/v3"),
        ("OS_USERNAME", "alice"),
        ("OS_PASSWORD", "secret-word"),
        ("OS_PROJECT_NAME", "alpha"),
        ("OS_USER_DOMAIN_NAME", "Default"),
    ]);
    let config = CloudConfig::discover(&args).unwrap();
    assert!(
        matches!(&config.credentials.method, Method::Password { domain: Named::Name(name), .. } if name == "Default")
    );
    assert_eq!(
        config.credentials.scope,
        project(Named::Name("alpha".to_owned()))
    );
    for shown in [format!("{config:?}"), format!("{args:?}")] {
        assert!(!shown.contains("secret-word"), "{shown}");
    }
}

#[test]
fn there_are_other_ways_to_sign_in() {
    let with = |pairs: &[(&str, &str)]| {
        let mut all = vec![("OS_AUTH_URL", "http://h")];
        all.extend_from_slice(pairs);
        CloudConfig::discover(&lookup(&all)).unwrap().credentials
    };
    let token = with(&[("OS_TOKEN", "t"), ("OS_PROJECT_ID", "p")]);
    assert!(matches!(&token.method, Method::Token(secret) if secret.expose() == "t"));
    assert_eq!(token.scope, project(Named::Id("p".to_owned())));

    let credential = with(&[
        ("OS_AUTH_TYPE", "v3applicationcredential"),
        ("OS_APPLICATION_CREDENTIAL_ID", "i"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
        ("OS_PROJECT_ID", "not asked for"),
    ]);
    assert!(matches!(
        &credential.method,
        Method::ApplicationCredential { credential: ApplicationCredential::Id(id), .. } if id == "i"
    ));
    assert_eq!(credential.scope, Scope::Unscoped);

    let named = with(&[
        ("OS_APPLICATION_CREDENTIAL_NAME", "n"),
        ("OS_APPLICATION_CREDENTIAL_SECRET", "s"),
        ("OS_USERNAME", "u"),
    ]);
    assert!(matches!(
        &named.method,
        Method::ApplicationCredential { credential: ApplicationCredential::Name { name, .. }, .. } if name == "n"
    ));

    let system = with(&[
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "p"),
        ("OS_SYSTEM_SCOPE", "all"),
    ]);
    assert_eq!(system.scope, Scope::System);
    let domain = with(&[
        ("OS_USERNAME", "u"),
        ("OS_PASSWORD", "p"),
        ("OS_DOMAIN_ID", "d"),
    ]);
    assert_eq!(domain.scope, Scope::Domain(Named::Id("d".to_owned())));
}

#[test]
fn what_is_missing_is_named() {
    for (what, pairs, want) in [
        (
            "no password",
            vec![("OS_AUTH_URL", "http://h"), ("OS_USERNAME", "a")],
            "lacks password",
        ),
        (
            "no user",
            vec![("OS_AUTH_URL", "http://h"), ("OS_PASSWORD", "a")],
            "lacks username",
        ),
        (
            "no token",
            vec![("OS_AUTH_URL", "http://h"), ("OS_AUTH_TYPE", "v3token")],
            "lacks token",
        ),
        (
            "another way",
            vec![("OS_AUTH_URL", "http://h"), ("OS_AUTH_TYPE", "v3totp")],
            "authentication type 'v3totp'",
        ),
        (
            "a cloud without a file",
            vec![
                ("OS_CLOUD", "x"),
                ("OS_CLIENT_CONFIG_FILE", "/nowhere/c.yaml"),
            ],
            "/nowhere/c.yaml",
        ),
        (
            "nothing",
            vec![("OS_CLIENT_CONFIG_FILE", "/nowhere/c.yaml")],
            "no cloud is named",
        ),
    ] {
        let words = CloudConfig::discover(&lookup(&pairs))
            .unwrap_err()
            .to_string();
        assert!(words.contains(want), "{what}: {words}");
    }
}

#[test]
fn a_broken_file_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("clouds.yaml");
    for text in [
        "clouds: [",
        "clouds: 7",
        "clouds:\n  a:\n    auth: {password: [hidden]}\n",
    ] {
        std::fs::write(&file, text).unwrap();
        let error = CloudConfig::from_file(&file, Some("a")).unwrap_err();
        assert!(matches!(error, ConfigError::Malformed { .. }), "{text}");
        assert!(!format!("{error:?}").contains("hidden"), "{error:?}");
    }
}
