//! What the built-in identity promises, over a real catalogue and a clock that tests move.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use emberkeep_catalog::{Catalog, SqliteCatalog};
use emberkeep_model::{Project, Role, Timestamp, User};

use super::secret::hash_of;
use super::token::fits;
use super::*;
use crate::{Clock, ServiceError};

/// A clock that stands until it is moved.
#[derive(Default)]
struct StandingClock(AtomicI64);

impl StandingClock {
    fn pass(&self, secs: i64) {
        self.0.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

struct House {
    identity: Identity,
    clock: Arc<StandingClock>,
    catalog: Arc<dyn Catalog>,
    admin: Bootstrapped,
}

async fn house() -> House {
    let catalog: Arc<dyn Catalog> = Arc::new(SqliteCatalog::in_memory().await.expect("catalogue"));
    let clock = Arc::new(StandingClock::default());
    clock.pass(1_000_000_000);
    let identity = Identity::new(catalog.clone(), clock.clone(), IdentitySettings::default());
    let admin = identity
        .bootstrap("sesame")
        .await
        .expect("bootstraps")
        .expect("is empty");
    House {
        identity,
        clock,
        catalog,
        admin,
    }
}

impl House {
    async fn sign_in(
        &self,
        name: &str,
        password: &str,
        scope: Scope,
    ) -> Result<Issued, ServiceError> {
        self.identity
            .sign_in(&[proof(name, password)], &scope)
            .await
    }

    async fn admin(&self) -> Issued {
        self.sign_in("admin", "sesame", Scope::Default)
            .await
            .expect("signs in")
    }

    async fn user(&self, name: &str) -> User {
        let new = NewUser {
            name: name.to_owned(),
            password: format!("{name}'s"),
            default_project_id: None,
            enabled: true,
        };
        self.identity.create_user(new).await.expect("makes a user")
    }

    async fn project(&self, name: &str) -> Project {
        let new = NewProject {
            name: name.to_owned(),
            description: String::new(),
            enabled: true,
        };
        self.identity
            .create_project(new)
            .await
            .expect("makes a project")
    }
}

fn by_name(name: &str) -> Named {
    Named::Name(name.to_owned(), DomainName::Id("default".to_owned()))
}

fn proof(name: &str, password: &str) -> Proof {
    Proof::Password {
        user: by_name(name),
        password: password.to_owned(),
    }
}

fn scoped(project: &Project) -> Scope {
    Scope::Project(Named::Id(project.id.to_string()))
}

fn is_unauthenticated<T>(result: Result<T, ServiceError>) -> bool {
    matches!(result, Err(ServiceError::Unauthenticated))
}

#[tokio::test]
async fn the_first_run_makes_an_administrator_and_later_ones_nothing() {
    let house = house().await;
    assert!(
        house
            .identity
            .bootstrap("other")
            .await
            .expect("runs")
            .is_none()
    );
    let Issued { token, info } = house.admin().await;
    assert_eq!(info.user_name, "admin");
    assert_eq!(
        info.project,
        Some((house.admin.project.id.clone(), "emberkeep".to_owned()))
    );
    assert_eq!(
        info.roles,
        [Role::Admin, Role::Manager, Role::Member, Role::Reader]
    );
    assert_eq!(info.methods, ["password"]);
    assert_eq!(info.audit_ids.len(), 1);
    assert_eq!(info.audit_ids[0].len(), 22);
    assert_eq!(info.expires_at, info.issued_at.plus_secs(4 * 3600));
    assert_eq!(
        house.identity.validate(&token).await.expect("is good"),
        info
    );
    assert!(is_unauthenticated(
        house.sign_in("admin", "other", Scope::Default).await
    ));
}

#[tokio::test]
async fn the_catalogue_holds_neither_tokens_nor_passwords() {
    let house = house().await;
    let Issued { token, .. } = house.admin().await;
    assert_eq!(token.len(), 43);
    assert_eq!(house.catalog.token(&token).await.expect("answers"), None);
    let record = house
        .catalog
        .token(&hash_of(&token))
        .await
        .expect("answers")
        .expect("is kept");
    assert_ne!(record.hash, token);
    let user = house
        .identity
        .user(house.admin.user.id.as_str())
        .await
        .expect("is there");
    assert!(user.password_hash.starts_with("$argon2id$"));
    assert!(!user.password_hash.contains("sesame"));
}

#[tokio::test]
async fn nobody_gets_in_who_should_not_and_all_get_the_same_answer() {
    let house = house().await;
    let alpha = house.project("alpha").await;
    let off = house
        .identity
        .create_project(NewProject {
            name: "off".into(),
            description: String::new(),
            enabled: false,
        })
        .await
        .expect("makes a project");
    let admin_id = house.admin.user.id.clone();
    house
        .identity
        .add_role(&admin_id, &off.id, Role::Member)
        .await
        .expect("gives");
    house
        .identity
        .create_user(NewUser {
            name: "gone".into(),
            password: "gone's".into(),
            default_project_id: None,
            enabled: false,
        })
        .await
        .expect("makes a user");
    let other_domain = Proof::Password {
        user: Named::Name("admin".into(), DomainName::Name("Other".into())),
        password: "sesame".into(),
    };
    let by_odd_id = Proof::Password {
        user: Named::Id("no id!".into()),
        password: "sesame".into(),
    };
    let right = || proof("admin", "sesame");
    for (what, proofs, scope) in [
        (
            "wrong password",
            vec![proof("admin", "wrong")],
            Scope::Default,
        ),
        ("empty password", vec![proof("admin", "")], Scope::Default),
        (
            "unknown user",
            vec![proof("nobody", "sesame")],
            Scope::Default,
        ),
        (
            "disabled user",
            vec![proof("gone", "gone's")],
            Scope::Default,
        ),
        ("another domain", vec![other_domain], Scope::Default),
        ("an id that is none", vec![by_odd_id], Scope::Default),
        ("nothing shown", vec![], Scope::Default),
        (
            "a token that is none",
            vec![Proof::Token("x".into())],
            Scope::Default,
        ),
        (
            "unknown project",
            vec![right()],
            Scope::Project(by_name("nowhere")),
        ),
        ("no role there", vec![right()], scoped(&alpha)),
        ("disabled project", vec![right()], scoped(&off)),
        ("the system", vec![right()], Scope::Elsewhere),
    ] {
        assert!(
            is_unauthenticated(house.identity.sign_in(&proofs, &scope).await),
            "{what}"
        );
    }
}

#[tokio::test]
async fn scopes_by_id_and_by_name_and_none() {
    let house = house().await;
    let alpha = house.project("alpha").await;
    let bob = house.user("bob").await;
    house
        .identity
        .add_role(&bob.id, &alpha.id, Role::Member)
        .await
        .expect("gives");
    for (what, scope) in [
        ("by id", scoped(&alpha)),
        ("by name, domain by id", Scope::Project(by_name("alpha"))),
        (
            "by name, domain by name",
            Scope::Project(Named::Name(
                "alpha".into(),
                DomainName::Name("Default".into()),
            )),
        ),
    ] {
        let info = house.sign_in("bob", "bob's", scope).await.expect(what).info;
        assert_eq!(
            info.project,
            Some((alpha.id.clone(), "alpha".to_owned())),
            "{what}"
        );
        assert_eq!(info.roles, [Role::Member, Role::Reader], "{what}");
    }
    for (what, scope) in [
        ("unscoped", Scope::Unscoped),
        ("no default project", Scope::Default),
    ] {
        let Issued { token, info } = house.sign_in("bob", "bob's", scope).await.expect(what);
        assert_eq!(
            (info.project.clone(), info.roles.len()),
            (None, 0),
            "{what}"
        );
        assert_eq!(house.identity.validate(&token).await.expect(what), info);
    }
    assert_eq!(
        house.identity.projects_of(&bob.id).await.expect("lists"),
        [alpha]
    );
}

#[tokio::test]
async fn a_token_from_a_token_ends_with_it_and_names_it() {
    let house = house().await;
    let first = house
        .sign_in("admin", "sesame", Scope::Unscoped)
        .await
        .expect("signs in");
    house.clock.pass(600);
    let second = house
        .identity
        .sign_in(&[Proof::Token(first.token)], &scoped(&house.admin.project))
        .await
        .expect("is exchanged");
    assert_eq!(second.info.expires_at, first.info.expires_at);
    assert_eq!(second.info.methods, ["password", "token"]);
    assert_eq!(second.info.audit_ids.len(), 2);
    assert_eq!(second.info.audit_ids[1], first.info.audit_ids[0]);
    let both = [proof("admin", "sesame"), Proof::Token(second.token)];
    let third = house
        .identity
        .sign_in(&both, &Scope::Unscoped)
        .await
        .expect("both hold");
    assert_eq!(third.info.expires_at, first.info.expires_at);
    house.user("bob").await;
    let mixed = [proof("bob", "bob's"), Proof::Token(third.token)];
    assert!(is_unauthenticated(
        house.identity.sign_in(&mixed, &Scope::Unscoped).await
    ));
}

#[tokio::test]
async fn tokens_end_when_their_time_is_over_or_they_are_taken_back() {
    let house = house().await;
    let (one, two) = (house.admin().await, house.admin().await);
    house
        .identity
        .validate(&one.token)
        .await
        .expect("is good, and now remembered");
    house
        .identity
        .revoke(&one.token)
        .await
        .expect("is taken back");
    assert!(is_unauthenticated(
        house.identity.validate(&one.token).await
    ));
    assert!(is_unauthenticated(house.identity.revoke(&one.token).await));
    assert!(is_unauthenticated(
        house
            .identity
            .sign_in(&[Proof::Token(one.token)], &Scope::Unscoped)
            .await
    ));
    house.clock.pass(4 * 3600 - 1);
    house
        .identity
        .validate(&two.token)
        .await
        .expect("the other is good to the last second");
    house.clock.pass(1);
    assert!(is_unauthenticated(
        house.identity.validate(&two.token).await
    ));
    house.clock.pass(1);
    house.admin().await;
    let hash = hash_of(&two.token);
    assert_eq!(
        house.catalog.token(&hash).await.expect("answers"),
        None,
        "it was swept out"
    );
}

#[tokio::test]
async fn a_new_password_and_being_disabled_take_tokens_back() {
    let house = house().await;
    let (bob, project) = (house.user("bob").await, house.project("p").await);
    let role = house.identity.add_role(&bob.id, &project.id, Role::Manager);
    role.await.expect("gives a role");
    let disabled = UserChange {
        enabled: Some(false),
        ..UserChange::default()
    };
    let renamed = UserChange {
        name: Some("robert".to_owned()),
        enabled: Some(true),
        ..UserChange::default()
    };
    let other = UserChange {
        password: Some("other".to_owned()),
        ..UserChange::default()
    };
    let mut names = ("bob", "bob's");
    for (what, change, stays) in [
        ("renamed", renamed, true),
        ("another password", other, false),
        ("disabled", disabled, false),
    ] {
        let scope = scoped(&project);
        let issued = house.sign_in(names.0, names.1, scope).await.expect(what);
        assert_eq!(
            issued.info.roles,
            [Role::Manager, Role::Member, Role::Reader]
        );
        let changed = house.identity.change_user(&bob.id, change).await;
        changed.expect(what);
        let after = house.identity.validate(&issued.token).await;
        assert_eq!(after.is_ok(), stays, "{what}");
        names = ("robert", if stays { "bob's" } else { "other" });
    }
    assert!(is_unauthenticated(
        house.sign_in("robert", "other", Scope::Unscoped).await
    ));
    // The administrator was not touched by any of it.
    house.admin().await;
}

#[tokio::test]
async fn who_is_deleted_leaves_nothing() {
    let house = house().await;
    let (bob, project) = (house.user("bob").await, house.project("p").await);
    let role = house.identity.add_role(&bob.id, &project.id, Role::Member);
    role.await.expect("gives a role");
    let scope = scoped(&project);
    let issued = house.sign_in("bob", "bob's", scope).await.expect("is in");
    let new = NewAppCredential {
        name: "robot".to_owned(),
        description: None,
        secret: None,
        roles: Vec::new(),
        expires_at: None,
        unrestricted: false,
    };
    let made = house.identity.create_app_credential(&issued.info, new);
    let (credential, _) = made.await.expect("makes one");
    house
        .identity
        .delete_user(&bob.id)
        .await
        .expect("is deleted");
    assert!(is_unauthenticated(
        house.identity.validate(&issued.token).await
    ));
    assert_eq!(
        house.catalog.assignments(&bob.id).await.expect("answers"),
        []
    );
    let left = house.catalog.app_credential(&credential.id).await;
    assert_eq!(left.expect("answers"), None);
    house
        .identity
        .delete_project(&project.id)
        .await
        .expect("holds nothing");
    let gone = house.identity.project(project.id.as_str()).await;
    assert!(matches!(gone, Err(ServiceError::NoSuchProject(_))));
    let again = house.identity.delete_user(&bob.id).await;
    assert!(matches!(again, Err(ServiceError::NoSuchUser(_))));
}

#[tokio::test]
async fn roles_are_given_and_taken_at_once() {
    let house = house().await;
    let alpha = house.project("alpha").await;
    let bob = house.user("bob").await;
    let identity = &house.identity;
    identity
        .add_role(&bob.id, &alpha.id, Role::Reader)
        .await
        .expect("gives");
    let token = house
        .sign_in("bob", "bob's", scoped(&alpha))
        .await
        .expect("signs in")
        .token;
    assert_eq!(
        identity.validate(&token).await.expect("is good").roles,
        [Role::Reader]
    );
    identity
        .add_role(&bob.id, &alpha.id, Role::Member)
        .await
        .expect("gives");
    identity
        .add_role(&bob.id, &alpha.id, Role::Member)
        .await
        .expect("gives again");
    assert_eq!(
        identity.validate(&token).await.expect("is good").roles,
        [Role::Member, Role::Reader]
    );
    assert!(
        identity
            .remove_role(&bob.id, &alpha.id, Role::Member)
            .await
            .expect("takes")
    );
    assert!(
        !identity
            .remove_role(&bob.id, &alpha.id, Role::Member)
            .await
            .expect("nothing to take")
    );
    assert_eq!(
        identity.validate(&token).await.expect("is good").roles,
        [Role::Reader]
    );
    assert!(
        identity
            .remove_role(&bob.id, &alpha.id, Role::Reader)
            .await
            .expect("takes")
    );
    assert!(is_unauthenticated(identity.validate(&token).await));
}

#[tokio::test]
async fn guessing_is_stopped_for_a_while_for_real_and_unknown_names() {
    let house = house().await;
    house.user("bob").await;
    for _ in 0..10 {
        assert!(is_unauthenticated(
            house.sign_in("admin", "guess", Scope::Default).await
        ));
    }
    let refused = house.sign_in("admin", "sesame", Scope::Default).await;
    assert!(is_unauthenticated(refused), "even the right one");
    let by_id = Proof::Password {
        user: Named::Id(house.admin.user.id.to_string()),
        password: "sesame".into(),
    };
    // What is typed is what is counted: the id by itself, like an id that nobody has.
    let by = |user: &str, password: &str| Proof::Password {
        user: Named::Id(user.to_owned()),
        password: password.into(),
    };
    let admin = house.admin.user.id.to_string();
    for id in [admin.as_str(), "made up"] {
        for _ in 0..10 {
            let guess = [by(id, "guess")];
            let refused = house.identity.sign_in(&guess, &Scope::Default).await;
            assert!(is_unauthenticated(refused), "{id}");
        }
    }
    let refused = house.identity.sign_in(&[by_id], &Scope::Default).await;
    assert!(is_unauthenticated(refused), "by id too");
    // Failures from one address do not keep others out.
    let right = [by(&admin, "sesame")];
    let elsewhere = Some("192.0.2.7".parse().expect("an address"));
    house
        .identity
        .sign_in_from(elsewhere, &right, &Scope::Default)
        .await
        .expect("from another address");
    house
        .sign_in("bob", "bob's", Scope::Unscoped)
        .await
        .expect("others get in");
    house.clock.pass(30);
    house.admin().await;
}

#[tokio::test]
async fn names_are_unique_and_must_be_names() {
    let house = house().await;
    house.project("alpha").await;
    let again = |name: &str| NewProject {
        name: name.into(),
        description: String::new(),
        enabled: true,
    };
    let error = house
        .identity
        .create_project(again("alpha"))
        .await
        .expect_err("is taken");
    assert!(
        matches!(&error, ServiceError::ProjectExists(name) if name == "alpha"),
        "{error}"
    );
    let bob = house.user("bob").await;
    let error = house
        .identity
        .create_user(NewUser {
            name: "bob".into(),
            password: "x".into(),
            default_project_id: None,
            enabled: true,
        })
        .await
        .expect_err("is taken");
    assert!(
        matches!(&error, ServiceError::UserExists(name) if name == "bob"),
        "{error}"
    );
    for name in ["", "  ", &"x".repeat(65)] {
        let error = house
            .identity
            .create_project(again(name))
            .await
            .expect_err(name);
        assert!(
            matches!(error, ServiceError::Invalid { field: "name", .. }),
            "{name}: {error}"
        );
    }
    let error = house
        .identity
        .user("bob")
        .await
        .expect_err("a name is no id");
    assert!(matches!(error, ServiceError::NoSuchUser(_)), "{error}");
    let error = house
        .identity
        .project("alpha")
        .await
        .expect_err("a name is no id");
    assert!(matches!(error, ServiceError::NoSuchProject(_)), "{error}");
    house
        .identity
        .set_password(&bob.id, "new")
        .await
        .expect("is set");
    house
        .sign_in("bob", "new", Scope::Unscoped)
        .await
        .expect("the new one is right");
    assert!(is_unauthenticated(
        house.sign_in("bob", "bob's", Scope::Unscoped).await
    ));
    assert!(is_unauthenticated(
        house
            .identity
            .change_password(&bob.id, "bob's".into(), "x")
            .await
    ));
    house
        .identity
        .change_password(&bob.id, "new".into(), "newer")
        .await
        .expect("is changed");
    house
        .sign_in("bob", "newer", Scope::Unscoped)
        .await
        .expect("the newer one is right");
}

#[test]
fn secrets_differ() {
    assert_ne!(new_secret(), new_secret());
}

#[test]
fn no_secret_is_taken_for_an_option() {
    // One in 64 would begin so if nothing prevented it.
    for _ in 0..2_000 {
        let secret = new_secret();
        assert!(!secret.starts_with('-') && secret.len() == 43, "{secret}");
    }
}

#[test]
fn rules_of_access_are_held_against_paths_as_keystonemiddleware_does() {
    for (pattern, path, want) in [
        ("/v3/p/backups", "/v3/p/backups", true),
        ("/v3/p/backups", "/v3/p/backups/detail", false),
        ("/v3/*/backups", "/v3/p/backups", true),
        ("/v3/*/backups", "/v3/p/q/backups", false),
        ("/v3/*/backups", "/v3//backups", false),
        ("/v3/{project_id}/backups/{id}", "/v3/p/backups/b", true),
        ("/v3/{project_id}/backups/{id}", "/v3/p/backups/", false),
        ("/v3/**", "/v3/p/backups/b/action", true),
        ("/v3/**", "/v3/", true),
        ("/v3/**/action", "/v3/p/backups/b/action", true),
        ("/v3/**/action", "/v3/p/backups/b/actions", false),
        ("**", "", true),
        ("", "/", false),
        ("/v3/{p", "/v3/{p", true),
        ("/v3/p.q", "/v3/p-q", false),
    ] {
        assert_eq!(fits(pattern, path), want, "{pattern} {path}");
    }
    // Nobody makes us try all ways.
    assert!(!fits(&"**a".repeat(60), &"a".repeat(59)));
    let rule = AccessRule {
        service: "volumev3".into(),
        method: "GET".into(),
        path: "/v3/**".into(),
    };
    assert!(rule.allows("volumev3", "GET", "/v3/p"));
    assert!(!rule.allows("volumev3", "POST", "/v3/p"));
    assert!(!rule.allows("cbr", "GET", "/v3/p"));
}
