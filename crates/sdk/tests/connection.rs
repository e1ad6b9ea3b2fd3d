//! A connection against a cloud of canned answers: signing in again, paging, refusals.

use std::sync::{Arc, Mutex};

use emberkeep_sdk::{CloudConfig, Connection, OsArgs, SdkError, VolumeId};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came in.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    token: Option<String>,
}

/// What to answer: status, token header, body.
type Answer = (u16, Option<&'static str>, Value);

/// A server that answers each request with what `answer` says.
struct Cloud {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Cloud {
    async fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One request a connection: the answer says that it closes.
                let _ = serve(stream, &answer, &seen).await;
            }
        });
        Self { url, asked }
    }

    async fn connect(&self) -> Connection {
        Connection::open(self.config()).await.expect("signed in")
    }

    fn config(&self) -> CloudConfig {
        let args = OsArgs::from_lookup(|name| match name {
            "OS_AUTH_URL" => Some(format!("{}/identity/v3", self.url)),
            "OS_USERNAME" | "OS_PROJECT_NAME" => Some("alice".to_owned()),
            "OS_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        });
        CloudConfig::discover(&args).expect("a cloud")
    }

    fn lines(&self) -> Vec<String> {
        self.asked
            .lock()
            .expect("sound")
            .iter()
            .map(|asked| asked.line.clone())
            .collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(impl Fn(&Asked, usize) -> Answer + Send + Sync),
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, wanted) = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = header(&text, "content-length")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            break (
                String::from_utf8_lossy(&bytes[..end]).into_owned(),
                end + 4 + length,
            );
        }
    };
    while bytes.len() < wanted {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        bytes.extend_from_slice(&piece[..read]);
    }
    let line = head.lines().next().unwrap_or_default();
    let asked = Asked {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        token: header(&head.to_lowercase(), "x-auth-token").map(str::to_owned),
    };
    let at = {
        let mut seen = seen.lock().expect("sound");
        seen.push(asked.clone());
        seen.len() - 1
    };
    let (status, token, body) = answer(&asked, at);
    let token = token.map_or_else(String::new, |token| format!("X-Subject-Token: {token}\r\n"));
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {status} X\r\nConnection: close\r\nX-Openstack-Request-Id: req-{at}\r\n{token}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(text.as_bytes()).await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}

/// A sign-in whose catalogue points back here, by the Host the client used.
fn signed_in(token: &'static str, url: &str) -> Answer {
    let endpoint = |path: &str| json!([{"interface": "public", "url": format!("{url}{path}"), "region": "R", "region_id": "R"}]);
    let catalog = json!([
        {"type": "volumev3", "endpoints": endpoint("/volume/v3/p1")},
        {"type": "cbr", "endpoints": endpoint("/cbr/v3")},
    ]);
    (
        201,
        Some(token),
        json!({"token": {"project": {"id": "p1"}, "catalog": catalog}}),
    )
}

fn unauthorized() -> Answer {
    (
        401,
        None,
        json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}),
    )
}

const VOLUME: &str = "00000000-0000-4000-8000-00000000000a";

fn volume(id: &str) -> Value {
    json!({"id": id, "name": "v", "size": 1, "status": "available", "created_at": null, "zone": "nova"})
}

/// Starts a cloud whose answers need to know where it is.
async fn cloud(answer: impl Fn(&str, &Asked, usize) -> Answer + Send + Sync + 'static) -> Cloud {
    let place = Arc::new(Mutex::new(String::new()));
    let known = Arc::clone(&place);
    let cloud = Cloud::start(move |asked, at| {
        let url = known.lock().expect("sound").clone();
        answer(&url, asked, at)
    })
    .await;
    place.lock().expect("sound").clone_from(&cloud.url);
    cloud
}

#[tokio::test]
async fn a_token_that_ran_out_is_renewed_once() {
    let cloud = cloud(
        |url, asked, at| match (asked.line.as_str(), asked.token.as_deref()) {
            ("POST /identity/v3/auth/tokens", _) if at == 0 => signed_in("old", url),
            ("POST /identity/v3/auth/tokens", _) => signed_in("new", url),
            (_, Some("new")) => (200, None, json!({"volume": volume(VOLUME)})),
            _ => unauthorized(),
        },
    )
    .await;
    let connection = cloud.connect().await;
    let found = connection
        .block_storage()
        .volume(&VolumeId::from(VOLUME))
        .await
        .expect("found");
    assert_eq!(
        found.more["zone"], "nova",
        "what has no field of its own is kept"
    );
    let show = format!("GET /volume/v3/p1/volumes/{VOLUME}");
    let sign_in = "POST /identity/v3/auth/tokens".to_owned();
    assert_eq!(
        cloud.lines(),
        [sign_in.clone(), show.clone(), sign_in, show]
    );
}

#[tokio::test]
async fn a_token_that_is_never_good_is_not_renewed_for_ever() {
    let cloud = cloud(|url, asked, _| match asked.line.as_str() {
        "POST /identity/v3/auth/tokens" => signed_in("bad", url),
        _ => unauthorized(),
    })
    .await;
    let connection = cloud.connect().await;
    let error = connection.cbr().vaults(None).await.expect_err("refused");
    let refusal = error.refusal().expect("a refusal");
    assert_eq!(
        (refusal.status, refusal.request_id.as_deref()),
        (401, Some("req-3"))
    );
    // The project is added where the catalogue leaves it out.
    assert_eq!(
        cloud.lines()[1],
        "GET /cbr/v3/p1/vaults?limit=1000&offset=0"
    );
    assert_eq!(cloud.lines().len(), 4);
}

#[tokio::test]
async fn a_wrong_password_is_told_from_other_refusals() {
    let cloud = cloud(|_, _, _| unauthorized()).await;
    let error = Connection::open(cloud.config()).await.expect_err("refused");
    assert!(matches!(error, SdkError::SignIn { .. }), "{error}");
    assert_eq!(cloud.lines().len(), 1);
}

#[tokio::test]
async fn pages_are_followed_to_the_last() {
    let cloud = cloud(|url, asked, _| {
        if asked.line.starts_with("POST") {
            return signed_in("t", url);
        }
        let next = json!([{"rel": "next", "href": "somewhere"}]);
        let body = if asked.line.contains("marker=b") {
            json!({"volumes": [volume("c")]})
        } else {
            json!({"volumes": [volume("a"), volume("b")], "volumes_links": next})
        };
        (200, None, body)
    })
    .await;
    let found = cloud
        .connect()
        .await
        .block_storage()
        .volumes(Some("v"))
        .await
        .expect("a list");
    let ids: Vec<_> = found.iter().map(|volume| volume.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(
        cloud.lines()[1..],
        [
            "GET /volume/v3/p1/volumes/detail?name=v",
            "GET /volume/v3/p1/volumes/detail?marker=b&name=v"
        ]
    );
}

#[tokio::test]
async fn nobody_listening_is_told_as_such() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    let gone = Cloud {
        url,
        asked: Arc::default(),
    };
    let error = Connection::open(gone.config())
        .await
        .expect_err("nobody there");
    assert!(matches!(error, SdkError::Unreachable { .. }), "{error}");
}
