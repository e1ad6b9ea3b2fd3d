//! Who may do what: data, addresses and host paths are kept from those who only read.

use axum::http::Method;
use emberkeep_model::Role;
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::house::House;

#[tokio::test]
async fn data_and_host_paths_are_kept_from_readers() {
    let desk = Desk::of(House::with_exports().await).await;
    let house = &desk.house;
    let alpha = house.app.identity.project(&desk.project).await;
    let alpha = alpha.expect("the project of the desk");
    house.user("rita", &alpha, Role::Reader).await;
    house.user("root", &alpha, Role::Admin).await;
    let volume = desk.volume(b"secret").await;
    let backups = format!("/volume/v3/{}/backups", desk.project);
    let body = json!({"backup": {"volume_id": volume}});
    let made = house.post(&backups, &desk.token, body).await.json();
    let backup = made["backup"]["id"].as_str().expect("an id").to_owned();
    desk.until_made(&backup).await;
    let exports = format!("exports?backup_id={backup}");
    let path = format!("/api/v1/{exports}");
    let export = house.post(&path, &desk.token, Value::Null).await.json();
    assert!(
        export["uri"].is_string(),
        "its maker gets the address: {export}"
    );
    for (method, rest, reader, member, admin) in [
        (Method::GET, format!("volumes/{volume}/data"), 403, 200, 200),
        (Method::GET, format!("volumes/{volume}/path"), 403, 403, 200),
        (Method::GET, format!("backups/{backup}/data"), 403, 200, 200),
        (Method::POST, exports, 403, 201, 201),
        (Method::GET, "exports".to_owned(), 200, 200, 200),
    ] {
        for (user, want) in [("rita", reader), ("alice", member), ("root", admin)] {
            let token = house.token(user).await;
            let path = format!("/api/v1/{rest}");
            let answer = house.call(method.clone(), &path, &token, Value::Null).await;
            assert_eq!(answer.status.as_u16(), want, "{user} {method} {rest}");
            if method == Method::GET && rest == "exports" {
                let listed = answer.json();
                let listed = listed["exports"].as_array().expect("a list");
                assert_eq!(listed.len(), 3, "the one above, and two of the table");
                assert!(
                    listed.iter().all(|one| one.get("uri").is_none()),
                    "{user}: {listed:?}"
                );
            }
        }
    }
}
