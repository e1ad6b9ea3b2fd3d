//! Where Cinder's backups lie: in a directory, in a bucket or in a container of Swift's.

use std::path::Path;

use emberkeep_chunked::{
    DirectoryRepository, ForeignError, ForeignObjects, Found, S3Repository, S3Settings, SwiftAuth,
    SwiftRepository, find, find_in,
};

use super::foreign_error;
use crate::error::CliError;

/// A place, and what was found there.
pub(super) struct Place {
    pub(super) objects: Box<dyn ForeignObjects>,
    pub(super) found: Vec<Found>,
}

/// Opens a directory, `s3://BUCKET` or `swift://CONTAINER`, and lists the backups in it.
pub(super) fn open(place: &Path) -> Result<Place, CliError> {
    let address = place.to_str().and_then(|text| text.split_once("://"));
    let opened = match address {
        Some(("s3", bucket)) => {
            let bucket = top(place, bucket)?;
            S3Repository::open(S3Settings::default()).and_then(|s3| inside(Box::new(s3), bucket))
        }
        Some(("swift", container)) => {
            let container = top(place, container)?;
            let auth = swift_auth(|name| std::env::var(name).ok())?;
            SwiftRepository::open(auth).and_then(|swift| inside(Box::new(swift), container))
        }
        _ => DirectoryRepository::open(place).and_then(|objects| {
            let found = find(&objects)?;
            Ok(Place {
                objects: Box::new(objects),
                found,
            })
        }),
    };
    opened.map_err(|error| foreign_error(&error))
}

fn inside(objects: Box<dyn ForeignObjects>, container: &str) -> Result<Place, ForeignError> {
    let found = find_in(objects.as_ref(), container)?;
    Ok(Place { objects, found })
}

/// Returns the bucket or container; backups lie at its top.
fn top<'a>(place: &Path, name: &'a str) -> Result<&'a str, CliError> {
    let name = name.trim_end_matches('/');
    if name.is_empty() || name.contains('/') {
        return Err(
            CliError::refused(format!("{} is not an address", place.display()))
                .hint("give s3://BUCKET or swift://CONTAINER, without a path"),
        );
    }
    Ok(name)
}

/// Finds out who we are at Swift, as its own client does.
fn swift_auth(env: impl Fn(&str) -> Option<String>) -> Result<SwiftAuth, CliError> {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    if let (Some(storage_url), Some(token)) = (env("OS_STORAGE_URL"), env("OS_AUTH_TOKEN")) {
        return Ok(SwiftAuth::Token { storage_url, token });
    }
    if let (Some(url), Some(user), Some(key)) = (env("ST_AUTH"), env("ST_USER"), env("ST_KEY")) {
        return Ok(SwiftAuth::V1 { url, user, key });
    }
    let region = env("OS_REGION_NAME");
    let url = env("OS_AUTH_URL");
    if let (Some(url), Some(id), Some(secret)) = (
        url.clone(),
        env("OS_APPLICATION_CREDENTIAL_ID"),
        env("OS_APPLICATION_CREDENTIAL_SECRET"),
    ) {
        return Ok(SwiftAuth::ApplicationCredential {
            url,
            id,
            secret,
            region,
        });
    }
    let domain = |name| env(name).unwrap_or_else(|| "Default".to_owned());
    match (
        url,
        env("OS_USERNAME"),
        env("OS_PASSWORD"),
        env("OS_PROJECT_NAME"),
    ) {
        (Some(url), Some(username), Some(password), Some(project_name)) => {
            Ok(SwiftAuth::Keystone {
                url,
                username,
                password,
                user_domain_name: domain("OS_USER_DOMAIN_NAME"),
                project_name,
                project_domain_name: domain("OS_PROJECT_DOMAIN_NAME"),
                region,
            })
        }
        _ => Err(CliError::refused("it is not said who asks Swift").hint(
            "set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME, or an application \
             credential, or ST_AUTH, ST_USER and ST_KEY, as for the `swift` command",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swift_is_told_who_asks() {
        let keystone = [
            ("OS_AUTH_URL", "http://k:5000/v3"),
            ("OS_USERNAME", "u"),
            ("OS_PASSWORD", "p"),
            ("OS_PROJECT_NAME", "backups"),
        ];
        let first = [
            ("ST_AUTH", "http://s/auth/v1.0"),
            ("ST_USER", "test:tester"),
            ("ST_KEY", "testing"),
        ];
        for (what, env, want) in [
            ("nobody", &[][..], None),
            ("half of it", &keystone[..3], None),
            (
                "Keystone",
                &keystone[..],
                Some("Keystone(http://k:5000/v3)"),
            ),
            ("Swift itself", &first[..], Some("V1(http://s/auth/v1.0)")),
        ] {
            let auth = swift_auth(|name| {
                let mut found = env.iter().filter(|(key, _)| *key == name);
                found.next().map(|(_, value)| (*value).to_owned())
            });
            let told = auth.ok().map(|auth| format!("{auth:?}"));
            assert_eq!(told.as_deref(), want, "{what}");
        }
    }

    #[test]
    fn places_are_buckets_as_a_whole() {
        for (name, want) in [
            ("b", Some("b")),
            ("b/", Some("b")),
            ("", None),
            ("b/a", None),
        ] {
            assert_eq!(top(Path::new("s3://x"), name).ok(), want, "{name}");
        }
    }
}
