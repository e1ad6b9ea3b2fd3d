//! A cloud of canned answers that remembers what it was asked.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};

use emberkeep_sdk::{CloudConfig, Connection, OsArgs};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// One request as it came in.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Method and address.
    pub(crate) line: String,
    pub(crate) token: Option<String>,
    /// The microversion that was asked for.
    pub(crate) version: Option<String>,
    pub(crate) body: Value,
}

/// What is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) token: Option<&'static str>,
    pub(crate) retry_after: Option<u64>,
    /// What time the service says it has.
    pub(crate) date: Option<&'static str>,
    pub(crate) body: String,
    /// A length that the body does not have.
    pub(crate) wrong_length: Option<usize>,
    /// Nothing is answered at all.
    pub(crate) silent: bool,
}

impl Answer {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self {
            status,
            body: body.to_string(),
            ..Self::default()
        }
    }

    pub(crate) fn text(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

pub(crate) struct Cloud {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Cloud {
    /// Starts a cloud whose answers depend on where it is, what is asked, and how much was asked before.
    pub(crate) async fn start(
        answer: impl Fn(&str, &Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, place) = (Arc::clone(&asked), url.clone());
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, place, answer) = (Arc::clone(&seen), place.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    // One request a connection: the answer says that it closes.
                    let _ = serve(stream, &place, answer.as_ref(), &seen).await;
                });
            }
        });
        Self { url, asked }
    }

    /// Starts a cloud where signing in and the version document are answered already.
    pub(crate) async fn signed_in(
        answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |url, asked, _| match asked.line.as_str() {
            "POST /identity/v3/auth/tokens" => signed_in("t", url),
            "GET /volume/v3/" => document("3.71"),
            _ => answer(asked),
        })
        .await
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.config()).await.expect("signed in")
    }

    pub(crate) fn config(&self) -> CloudConfig {
        let args = OsArgs::from_lookup(|name| match name {
            "OS_AUTH_URL" => Some(format!("{}/identity/v3", self.url)),
            "OS_USERNAME" | "OS_PROJECT_NAME" => Some("alice".to_owned()),
            "OS_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        });
        let mut config = CloudConfig::discover(&args).expect("a cloud");
        config.retries.first_pause = std::time::Duration::from_millis(1);
        config
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("sound").clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

/// A sign-in whose catalogue points back here.
pub(crate) fn signed_in(token: &'static str, url: &str) -> Answer {
    let endpoint = |path: &str| json!([{"interface": "public", "url": format!("{url}{path}"), "region": "R", "region_id": "R"}]);
    let catalog = json!([
        {"type": "volumev3", "endpoints": endpoint("/volume/v3/p1")},
        {"type": "cbr", "endpoints": endpoint("/cbr/v3")},
    ]);
    Answer {
        token: Some(token),
        ..Answer::json(
            201,
            json!({"token": {"project": {"id": "p1"}, "catalog": catalog}}),
        )
    }
}

pub(crate) fn unauthorized() -> Answer {
    Answer::json(
        401,
        json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}),
    )
}

/// The version document of a Block Storage service.
pub(crate) fn document(newest: &str) -> Answer {
    Answer::json(
        200,
        json!({"versions": [{"id": "v3.0", "status": "CURRENT", "version": newest, "min_version": "3.0"}]}),
    )
}

async fn serve(
    mut stream: TcpStream,
    place: &str,
    answer: &(impl Fn(&str, &Asked, usize) -> Answer + Send + Sync),
    seen: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let (head, begin, wanted) = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = header(&text.to_lowercase(), "content-length")
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            break (text[..end].to_owned(), end + 4, end + 4 + length);
        }
    };
    while bytes.len() < wanted {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        bytes.extend_from_slice(&piece[..read]);
    }
    let line = head.lines().next().unwrap_or_default();
    let lower = head.to_lowercase();
    let asked = Asked {
        line: line.trim_end_matches(" HTTP/1.1").to_owned(),
        token: header(&lower, "x-auth-token").map(str::to_owned),
        version: header(&lower, "openstack-api-version").map(str::to_owned),
        body: serde_json::from_slice(&bytes[begin..wanted]).unwrap_or_default(),
    };
    let at = {
        let mut seen = seen.lock().expect("sound");
        seen.push(asked.clone());
        seen.len() - 1
    };
    let answer = answer(place, &asked, at);
    if answer.silent {
        // Until the other side has had enough.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await?;
        return Ok(());
    }
    let mut text = format!(
        "HTTP/1.1 {} X\r\nConnection: close\r\nX-Openstack-Request-Id: req-{at}\r\n",
        answer.status
    );
    if let Some(token) = answer.token {
        text += &format!("X-Subject-Token: {token}\r\n");
    }
    if let Some(seconds) = answer.retry_after {
        text += &format!("Retry-After: {seconds}\r\n");
    }
    if let Some(date) = answer.date {
        text += &format!("Date: {date}\r\n");
    }
    let length = answer.wrong_length.unwrap_or(answer.body.len());
    text += &format!("Content-Length: {length}\r\n\r\n{}", answer.body);
    stream.write_all(text.as_bytes()).await
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
}
