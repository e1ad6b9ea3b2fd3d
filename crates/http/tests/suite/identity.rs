//! The identity API as clients see it.

use crate::house;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use emberkeep_model::Role;
use serde_json::{Value, json};

use house::{BASE, House};

const TOKENS: &str = "/identity/v3/auth/tokens";

fn auth(identity: Value, scope: Value) -> Value {
    json!({"auth": {"identity": identity, "scope": scope}})
}

fn password(user: &str, password: &str) -> Value {
    let user = json!({"name": user, "domain": {"name": "Default"}, "password": password});
    json!({"methods": ["password"], "password": {"user": user}})
}

fn with_token(token: &str) -> Value {
    json!({"methods": ["token"], "token": {"id": token}})
}

#[tokio::test]
async fn version_documents_need_no_token() {
    let house = House::new().await;
    let version = json!({
        "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{BASE}/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    });
    for path in ["/identity", "/identity/"] {
        let answer = house.get(path, "").await;
        assert_eq!(answer.status, StatusCode::MULTIPLE_CHOICES, "{path}");
        assert_eq!(
            answer.header("location"),
            format!("{BASE}/identity/v3/"),
            "{path}"
        );
        assert_eq!(
            answer.json(),
            json!({"versions": {"values": [version]}}),
            "{path}"
        );
    }
    for path in ["/identity/v3", "/identity/v3/"] {
        let answer = house.get(path, "").await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.json(), json!({ "version": version }), "{path}");
        assert_eq!(answer.header("vary"), "X-Auth-Token", "{path}");
        assert!(
            answer.header("x-openstack-request-id").starts_with("req-"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_scoped_token_says_who_where_what_and_where_to_go() {
    let house = House::new().await;
    let alpha = house.project("alpha").await;
    let alice = house.user("alice", &alpha, Role::Member).await;
    let scope = json!({"project": {"name": "alpha", "domain": {"id": "default"}}});
    let answer = house
        .post(TOKENS, "", auth(password("alice", "alice"), scope))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    assert_eq!(answer.header("x-subject-token").len(), 43);
    assert_eq!(answer.header("vary"), "X-Auth-Token");
    let body = answer.json();
    let token = &body["token"];
    let domain = json!({"id": "default", "name": "Default"});
    assert_eq!(token["methods"], json!(["password"]));
    assert_eq!(
        token["user"],
        json!({"id": alice.id, "name": "alice", "domain": domain, "password_expires_at": null})
    );
    assert_eq!(
        token["project"],
        json!({"id": alpha.id, "name": "alpha", "domain": domain})
    );
    assert_eq!(token["is_domain"], json!(false));
    let names: Vec<_> = token["roles"]
        .as_array()
        .expect("roles")
        .iter()
        .map(|role| role["name"].clone())
        .collect();
    assert_eq!(names, ["member", "reader"]);
    for time in ["issued_at", "expires_at"] {
        let text = token[time].as_str().expect("is text");
        assert!(text.len() == 27 && text.ends_with('Z'), "{time}: {text}");
    }
    let catalog = token["catalog"].as_array().expect("catalogue");
    let want = [
        ("identity", "keystone", format!("{BASE}/identity/v3")),
        (
            "volumev3",
            "cinderv3",
            format!("{BASE}/volume/v3/{}", alpha.id),
        ),
        (
            "block-storage",
            "cinder",
            format!("{BASE}/volume/v3/{}", alpha.id),
        ),
        ("cbr", "cbr", format!("{BASE}/cbr/v3/{}", alpha.id)),
    ];
    assert_eq!(catalog.len(), want.len());
    for (entry, (kind, name, url)) in catalog.iter().zip(want) {
        assert_eq!(
            (&entry["type"], &entry["name"]),
            (&json!(kind), &json!(name))
        );
        let endpoints = entry["endpoints"].as_array().expect("endpoints");
        let interfaces: Vec<_> = endpoints
            .iter()
            .map(|one| one["interface"].clone())
            .collect();
        assert_eq!(interfaces, ["public", "internal", "admin"], "{kind}");
        for endpoint in endpoints {
            assert_eq!(endpoint["url"], json!(url), "{kind}");
            assert_eq!(endpoint["region"], json!("RegionOne"), "{kind}");
            assert_eq!(endpoint["region_id"], json!("RegionOne"), "{kind}");
            assert_eq!(endpoint["id"].as_str().map(str::len), Some(32), "{kind}");
        }
    }

    let secret = answer.header("x-subject-token").to_owned();
    let shown = house.get("/identity/v3/auth/catalog", &secret).await.json();
    assert_eq!(shown["catalog"], token["catalog"]);
    for path in [
        "/identity/v3/auth/tokens?nocatalog",
        "/identity/v3/auth/tokens?nocatalog=1",
    ] {
        let scope = json!({"project": {"id": alpha.id}});
        let body = house
            .post(path, "", auth(password("alice", "alice"), scope))
            .await
            .json();
        assert_eq!(body["token"].get("catalog"), None, "{path}");
        assert_eq!(body["token"]["project"]["id"], json!(alpha.id), "{path}");
    }
}

#[tokio::test]
async fn an_unscoped_token_finds_out_what_could_be_asked_for() {
    let house = House::new().await;
    let answer = house
        .post(
            TOKENS,
            "",
            auth(password("admin", "sesame"), json!("unscoped")),
        )
        .await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let body = answer.json();
    for field in ["project", "roles", "catalog", "is_domain"] {
        assert_eq!(body["token"].get(field), None, "{field}");
    }
    let token = answer.header("x-subject-token");
    let projects = house.get("/identity/v3/auth/projects", token).await.json();
    assert_eq!(projects["projects"][0]["name"], json!("emberkeep"));
    assert_eq!(
        projects["links"],
        json!({"next": null, "self": format!("{BASE}/identity/v3/auth/projects"), "previous": null})
    );
    assert_eq!(
        house.get("/identity/v3/auth/catalog", token).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        house.get("/identity/v3/auth/domains", token).await.json()["domains"],
        json!([])
    );

    let scope = json!({"project": {"id": projects["projects"][0]["id"]}});
    let second = house.post(TOKENS, "", auth(with_token(token), scope)).await;
    assert_eq!(second.status, StatusCode::CREATED);
    let second = second.json();
    assert_eq!(second["token"]["methods"], json!(["password", "token"]));
    assert_eq!(second["token"]["expires_at"], body["token"]["expires_at"]);
    assert_eq!(
        second["token"]["audit_ids"][1],
        body["token"]["audit_ids"][0]
    );
}

#[tokio::test]
async fn whoever_cannot_sign_in_gets_the_same_answer() {
    let house = House::new().await;
    house.project("alpha").await;
    let no_role = json!({"project": {"name": "alpha", "domain": {"id": "default"}}});
    let nowhere = json!({"project": {"name": "nowhere", "domain": {"id": "default"}}});
    let other_method = json!({"methods": ["totp"], "totp": {}});
    for (what, body) in [
        (
            "wrong password",
            auth(password("admin", "wrong"), Value::Null),
        ),
        (
            "unknown user",
            auth(password("nobody", "wrong"), Value::Null),
        ),
        (
            "no role on the project",
            auth(password("admin", "sesame"), no_role),
        ),
        (
            "unknown project",
            auth(password("admin", "sesame"), nowhere),
        ),
        (
            "the system",
            auth(
                password("admin", "sesame"),
                json!({"system": {"all": true}}),
            ),
        ),
        ("unknown token", auth(with_token("x"), Value::Null)),
        ("another method", auth(other_method, Value::Null)),
    ] {
        let answer = house.post(TOKENS, "", body).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(
            answer.json(),
            json!({"error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}}),
            "{what}"
        );
        let want = format!("Keystone uri=\"{BASE}/identity/v3\"");
        assert_eq!(answer.header("www-authenticate"), want, "{what}");
        assert_eq!(answer.header("vary"), "X-Auth-Token", "{what}");
    }
}

#[tokio::test]
async fn malformed_requests_are_refused_in_identity_s_own_form() {
    let house = House::new().await;
    for (what, body, code, message) in [
        ("no body", String::new(), 400, "the request has no body"),
        (
            "no JSON",
            "{\"auth\": ".into(),
            400,
            "the request body is not valid JSON",
        ),
        (
            "no auth",
            "{}".into(),
            400,
            "Expecting to find auth in body.",
        ),
        (
            "no identity",
            "{\"auth\": {}}".into(),
            400,
            "Expecting to find identity in auth.",
        ),
        ("a list", "[]".into(), 400, "Invalid input for field 'body'"),
        (
            "too large",
            " ".repeat((1 << 20) + 1),
            413,
            "the request body is larger than",
        ),
    ] {
        let request = Request::post(TOKENS)
            .body(Body::from(body))
            .expect("is a request");
        let answer = house.send(request).await;
        assert_eq!(answer.status.as_u16(), code, "{what}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], json!(code), "{what}");
        let text = error["message"].as_str().expect("is text");
        assert!(text.starts_with(message), "{what}: {text}");
    }
    let admin = house.token("admin").await;
    for (what, method, path, code) in [
        ("unknown path", Method::GET, "/identity/v3/nothing", 404),
        ("unknown version", Method::GET, "/identity/v2.0", 404),
        (
            "wrong method",
            Method::PATCH,
            "/identity/v3/auth/tokens",
            405,
        ),
    ] {
        let answer = house.call(method, path, &admin, Value::Null).await;
        assert_eq!(answer.status.as_u16(), code, "{what}");
        assert_eq!(answer.json()["error"]["code"], json!(code), "{what}");
    }
}

async fn about(house: &House, method: Method, caller: &str, subject: &str) -> house::Answer {
    let request = Request::builder()
        .method(method)
        .uri(TOKENS)
        .header("host", "ember.test:8776")
        .header("x-auth-token", caller)
        .header("x-subject-token", subject);
    house
        .send(request.body(Body::empty()).expect("is a request"))
        .await
}

#[tokio::test]
async fn tokens_are_shown_to_their_user_and_to_administrators_until_taken_back() {
    let house = House::new().await;
    let alpha = house.project("alpha").await;
    house.user("alice", &alpha, Role::Member).await;
    house.user("bob", &alpha, Role::Member).await;
    let (admin, alice, bob) = (
        house.token("admin").await,
        house.token("alice").await,
        house.token("bob").await,
    );

    let shown = about(&house, Method::GET, &alice, &alice).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert_eq!(shown.header("x-subject-token"), alice);
    assert_eq!(shown.json()["token"]["user"]["name"], json!("alice"));
    assert_eq!(
        about(&house, Method::GET, &admin, &alice).await.json(),
        shown.json()
    );
    let head = about(&house, Method::HEAD, &admin, &alice).await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
    assert_eq!(head.header("x-subject-token"), alice);

    for (what, caller, subject, code) in [
        ("another's", bob.as_str(), alice.as_str(), 403),
        ("unknown", admin.as_str(), "x", 404),
        ("caller unknown", "x", alice.as_str(), 401),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let answer = about(&house, method.clone(), caller, subject).await;
            assert_eq!(answer.status.as_u16(), code, "{method} {what}");
        }
    }
    let none = house.get(TOKENS, &admin).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND, "no subject");

    let taken = about(&house, Method::DELETE, &alice, &alice).await;
    assert_eq!(
        (taken.status, taken.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    assert_eq!(
        about(&house, Method::GET, &admin, &alice).await.status,
        StatusCode::NOT_FOUND
    );
    let used = house.get("/identity/v3/auth/projects", &alice).await;
    assert_eq!(used.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        used.header("www-authenticate"),
        format!("Keystone uri=\"{BASE}/identity/v3\"")
    );
}

#[tokio::test]
async fn members_see_themselves_and_administrators_see_all() {
    let house = House::new().await;
    let alpha = house.project("alpha").await;
    let alice = house.user("alice", &alpha, Role::Member).await;
    let admin_id = house.admin.user.id.clone();
    let home = house.admin.project.id.clone();
    let (admin, member) = (house.token("admin").await, house.token("alice").await);
    for (path, for_admin, for_member) in [
        (format!("users/{}", alice.id), 200, 200),
        (format!("users/{}/projects", alice.id), 200, 200),
        (format!("users/{admin_id}"), 200, 403),
        ("users/alice".into(), 404, 403),
        ("users".into(), 200, 403),
        (format!("projects/{}", alpha.id), 200, 200),
        (format!("projects/{home}"), 200, 403),
        ("projects/alpha".into(), 404, 403),
        ("projects".into(), 200, 403),
        ("roles".into(), 200, 403),
        ("roles/member".into(), 404, 403),
        ("role_assignments".into(), 200, 403),
        ("services".into(), 200, 403),
        ("endpoints".into(), 200, 403),
        ("regions".into(), 200, 200),
        ("regions/RegionOne".into(), 200, 200),
        ("regions/Elsewhere".into(), 404, 404),
        ("domains".into(), 200, 403),
        ("domains/default".into(), 200, 200),
        ("domains/Default".into(), 404, 404),
    ] {
        let path = format!("/identity/v3/{path}");
        assert_eq!(
            house.get(&path, &admin).await.status.as_u16(),
            for_admin,
            "admin: {path}"
        );
        assert_eq!(
            house.get(&path, &member).await.status.as_u16(),
            for_member,
            "member: {path}"
        );
        assert_eq!(
            house.get(&path, "").await.status.as_u16(),
            401,
            "nobody: {path}"
        );
    }
    for (path, plural, count) in [
        ("users?name=alice", "users", 1),
        ("users?name=nobody", "users", 0),
        ("users?domain_id=other", "users", 0),
        ("users", "users", 2),
        ("projects?name=alpha&domain_id=default", "projects", 1),
        ("projects?enabled=False", "projects", 0),
        ("roles?name=member", "roles", 1),
        ("roles", "roles", 4),
        ("services?type=cbr", "services", 1),
        ("endpoints?interface=public", "endpoints", 4),
        ("endpoints", "endpoints", 12),
        ("domains?name=Default", "domains", 1),
    ] {
        let body = house
            .get(&format!("/identity/v3/{path}"), &admin)
            .await
            .json();
        assert_eq!(
            body[plural].as_array().map(Vec::len),
            Some(count),
            "{path}: {body}"
        );
    }
}

#[tokio::test]
async fn an_administrator_makes_projects_users_and_roles() {
    let house = House::new().await;
    let admin = house.token("admin").await;
    let body = json!({"project": {"name": "beta", "domain_id": "default", "enabled": true, "description": null}});
    let made = house
        .post("/identity/v3/projects", &admin, body.clone())
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let project = made.json()["project"].clone();
    let id = project["id"].as_str().expect("is text").to_owned();
    assert_eq!(
        project,
        json!({
            "id": id, "name": "beta", "domain_id": "default", "description": "", "enabled": true,
            "parent_id": "default", "is_domain": false, "tags": [], "options": {},
            "links": {"self": format!("{BASE}/identity/v3/projects/{id}")},
        })
    );
    assert_eq!(
        house
            .post("/identity/v3/projects", &admin, body)
            .await
            .status,
        StatusCode::CONFLICT
    );
    let body = json!({"user": {"name": "bob", "password": "bob", "default_project_id": id, "enabled": true}});
    let made = house.post("/identity/v3/users", &admin, body.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert!(
        !made.json().to_string().contains("password\""),
        "{}",
        made.json()
    );
    let bob = made.json()["user"]["id"]
        .as_str()
        .expect("is text")
        .to_owned();
    assert_eq!(
        house.post("/identity/v3/users", &admin, body).await.status,
        StatusCode::CONFLICT
    );

    let roles = house
        .get("/identity/v3/roles?name=member", &admin)
        .await
        .json();
    let role = roles["roles"][0]["id"]
        .as_str()
        .expect("is text")
        .to_owned();
    let place = format!("/identity/v3/projects/{id}/users/{bob}/roles");
    let one = format!("{place}/{role}");
    let ask = |method: Method, path: String| {
        let (house, admin) = (&house, &admin);
        async move {
            house
                .call(method, &path, admin, Value::Null)
                .await
                .status
                .as_u16()
        }
    };
    assert_eq!(ask(Method::HEAD, one.clone()).await, 404);
    assert_eq!(ask(Method::PUT, one.clone()).await, 204);
    assert_eq!(ask(Method::HEAD, one.clone()).await, 204);
    assert_eq!(ask(Method::PUT, format!("{place}/nothing")).await, 404);
    assert_eq!(
        ask(
            Method::PUT,
            format!("/identity/v3/projects/x/users/{bob}/roles/{role}")
        )
        .await,
        404
    );
    let given = house.get(&place, &admin).await.json();
    assert_eq!(given["roles"][0]["name"], json!("member"));
    let path = format!("/identity/v3/role_assignments?user.id={bob}&include_names=True");
    let domain = json!({"id": "default", "name": "Default"});
    assert_eq!(
        house.get(&path, &admin).await.json()["role_assignments"],
        json!([{
            "role": {"id": role, "name": "member"},
            "user": {"id": bob, "name": "bob", "domain": domain},
            "scope": {"project": {"id": id, "name": "beta", "domain": domain}},
            "links": {"assignment": format!("{BASE}{one}")},
        }])
    );
    let all = house
        .get("/identity/v3/role_assignments", &admin)
        .await
        .json();
    assert_eq!(all["role_assignments"].as_array().map(Vec::len), Some(2));

    let token = house.token("bob").await;
    let refused = house
        .post(
            "/identity/v3/projects",
            &token,
            json!({"project": {"name": "x"}}),
        )
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(
        refused.json()["error"]["message"],
        json!("You are not authorized to perform the requested action.")
    );
    let path = format!("/identity/v3/users/{bob}/password");
    let change = |old: &str| json!({"user": {"original_password": old, "password": "new"}});
    assert_eq!(
        house.post(&path, &token, change("wrong")).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(
        house.post(&path, &admin, change("bob")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        house.post(&path, &token, change("bob")).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        house.sign_in("bob", "new").await.status,
        StatusCode::CREATED
    );

    assert_eq!(ask(Method::DELETE, one.clone()).await, 204);
    assert_eq!(ask(Method::DELETE, one).await, 404);
    assert_eq!(
        house.get("/identity/v3/auth/projects", &token).await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// Signs in with an application credential.
async fn sign_in_with(house: &House, credential: Value) -> house::Answer {
    let identity =
        json!({"methods": ["application_credential"], "application_credential": credential});
    house
        .post(
            "/identity/v3/auth/tokens",
            "",
            json!({"auth": {"identity": identity}}),
        )
        .await
}

#[tokio::test]
async fn a_program_signs_in_with_a_credential_of_its_own() {
    let house = House::new().await;
    let project = house.project("alpha").await;
    let alice = house.user("alice", &project, Role::Member).await;
    let token = house.token("alice").await;
    let path = format!("/identity/v3/users/{}/application_credentials", alice.id);
    // As `openstack application credential create` sends it.
    let body = |name: &str, roles: Value, unrestricted: bool| {
        json!({"application_credential": {
            "name": name, "roles": roles, "secret": null, "expires_at": null, "description": null,
            "unrestricted": unrestricted, "access_rules": [],
        }})
    };
    let answer = house
        .post(&path, &token, body("ac1", json!([]), false))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
    let made = answer.json()["application_credential"].clone();
    let secret = made["secret"].clone();
    assert_eq!(made["project_id"], project.id.as_str());
    assert_eq!(
        house
            .post(&path, &token, body("ac1", json!([]), false))
            .await
            .status,
        StatusCode::CONFLICT
    );
    let one = format!("{path}/{}", made["id"].as_str().expect("is text"));
    let shown = house.get(&one, &token).await.json();
    assert_eq!(
        shown["application_credential"].get("secret"),
        None,
        "it is shown once"
    );

    for credential in [
        json!({"id": made["id"], "secret": secret}),
        json!({"name": "ac1", "secret": secret, "user": {"name": "alice", "domain": {"name": "Default"}}}),
    ] {
        let answer = sign_in_with(&house, credential).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{:?}", answer.body);
        let body = answer.json()["token"].clone();
        assert_eq!(body["application_credential"]["restricted"], true);
        assert_eq!(body["methods"], json!(["application_credential"]));
        assert_eq!(body["project"]["id"], project.id.as_str());
    }
    for wrong in [
        json!({"id": made["id"], "secret": "guess"}),
        json!({"id": "nobody", "secret": secret}),
    ] {
        assert_eq!(
            sign_in_with(&house, wrong).await.status,
            StatusCode::UNAUTHORIZED
        );
    }

    // It does what its user may do, but makes no further ones.
    let answer = sign_in_with(&house, json!({"id": made["id"], "secret": secret})).await;
    let theirs = answer.header("x-subject-token").to_owned();
    assert_eq!(
        house.get("/volume/v3/volumes", &theirs).await.status,
        StatusCode::OK
    );
    let answer = house
        .post(&path, &theirs, body("ac2", json!([]), false))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let scope = json!({"project": {"name": "emberkeep", "domain": {"id": "default"}}});
    let identity = json!({"methods": ["token"], "token": {"id": theirs}});
    let elsewhere = json!({"auth": {"identity": identity, "scope": scope}});
    let answer = house.post("/identity/v3/auth/tokens", "", elsewhere).await;
    assert_eq!(
        answer.status,
        StatusCode::UNAUTHORIZED,
        "it is for one project"
    );

    // One that may only read.
    let reader = body("ro", json!([{"name": "reader"}]), true);
    let made = house.post(&path, &token, reader).await.json()["application_credential"].clone();
    let answer = sign_in_with(&house, json!({"id": made["id"], "secret": made["secret"]})).await;
    let readers = answer.header("x-subject-token").to_owned();
    assert_eq!(
        answer.json()["token"]["roles"].as_array().map(Vec::len),
        Some(1)
    );
    let volume = json!({"volume": {"size": 1}});
    assert_eq!(
        house
            .post("/volume/v3/volumes", &readers, volume)
            .await
            .status,
        StatusCode::FORBIDDEN
    );
    let more = body("more", json!([{"name": "member"}]), false);
    assert_eq!(
        house.post(&path, &readers, more).await.status,
        StatusCode::BAD_REQUEST
    );

    // Gone with it: the tokens it gave.
    let answer = house.call(Method::DELETE, &one, &token, Value::Null).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(
        house.get("/volume/v3/volumes", &theirs).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(house.get(&one, &token).await.status, StatusCode::NOT_FOUND);
    let bob = house.user("bob", &project, Role::Member).await;
    let bobs = house.token("bob").await;
    assert_eq!(house.get(&path, &bobs).await.status, StatusCode::FORBIDDEN);
    assert_ne!(bob.id, alice.id);
}
