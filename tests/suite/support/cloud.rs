//! A cloud of canned answers, good and bad, on plain threads.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// What is answered to one request.
pub(crate) enum Reply {
    /// A status and a body.
    Json(u16, Value),
    /// A sign-in: this body, and a token beside it.
    Token(Value),
    /// These bytes as they are.
    Raw(&'static str),
    /// A body that never ends, as fast as it is read.
    Endless,
    /// A body of which a byte comes now and then.
    Drip,
    /// Nothing at all.
    Silence,
}

/// The token that is given out; no command ever shows it.
pub(crate) const TOKEN: &str = "gAAAA-the-token-that-nobody-may-see";
/// The password that signs in; no command ever shows it.
pub(crate) const PASSWORD: &str = "hunter2-nobody-may-see";

pub(crate) struct Cloud {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Cloud {
    /// Starts a cloud whose answers depend on what is asked (`GET /volume/v3/p/volumes`).
    pub(crate) fn start(answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::over(|stream| Some(Box::new(stream)), "http", answer)
    }

    /// Starts a cloud behind `wrap`, which may encrypt a connection or give it up.
    pub(crate) fn over(
        wrap: impl Fn(TcpStream) -> Option<Box<dyn Duplex>> + Send + Sync + 'static,
        scheme: &str,
        answer: impl Fn(&str, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("{scheme}://{}", listener.local_addr().expect("its address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, place) = (Arc::clone(&asked), url.clone());
        let served = Arc::new((wrap, answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, place, served) = (Arc::clone(&seen), place.clone(), Arc::clone(&served));
                std::thread::spawn(move || {
                    // Whoever goes away in the middle is not waited for.
                    let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
                    if let Some(mut stream) = served.0(stream) {
                        let _ = serve(stream.as_mut(), &place, &seen, &served.1);
                    }
                });
            }
        });
        Self { url, asked }
    }

    /// Returns what was asked so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("sound").clone()
    }

    /// Returns a `clouds.yaml` that leads here, with little patience.
    pub(crate) fn yaml(&self) -> String {
        format!(
            "clouds:\n  there:\n    auth: {{auth_url: '{}/identity/v3', username: alice, password: {PASSWORD}, project_name: alpha}}\n    api_timeout: 2\n",
            self.url
        )
    }
}

/// What bytes go to and come from.
pub(crate) trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// A sign-in whose catalogue leads back to `url`, with services of these types.
pub(crate) fn sign_in(url: &str, types: &[&str]) -> Reply {
    let catalog: Vec<_> = types
        .iter()
        .map(|kind| {
            let path = if *kind == "cbr" { "/cbr/v3/p" } else { "/volume/v3/p" };
            let endpoint = json!({"interface": "public", "url": format!("{url}{path}"), "region": "R", "region_id": "R"});
            json!({"type": kind, "endpoints": [endpoint]})
        })
        .collect();
    Reply::Token(json!({"token": {"project": {"id": "p"}, "catalog": catalog}}))
}

/// The version document of a Block Storage service.
pub(crate) fn versions() -> Reply {
    Reply::Json(
        300,
        json!({"versions": [{"id": "v3.0", "status": "CURRENT", "version": "3.71", "min_version": "3.0"}]}),
    )
}

fn serve(
    stream: &mut dyn Duplex,
    place: &str,
    seen: &Mutex<Vec<String>>,
    answer: &impl Fn(&str, &str) -> Reply,
) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let (head, whole) = loop {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length = text[..end]
                .lines()
                .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok())
                .unwrap_or(0);
            break (end, end + 4 + length);
        }
    };
    while bytes.len() < whole {
        let read = stream.read(&mut piece)?;
        if read == 0 {
            return Ok(());
        }
        bytes.extend_from_slice(&piece[..read]);
    }
    let head = String::from_utf8_lossy(&bytes[..head]).into_owned();
    let line = head.lines().next().unwrap_or_default();
    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
    seen.lock().expect("sound").push(line.clone());
    let text = |status: u16, token: &str, body: String| {
        format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nX-Openstack-Request-Id: req-7\r\n{token}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let endless = "HTTP/1.1 200 X\r\nConnection: close\r\n\r\n";
    match answer(place, &line) {
        Reply::Json(status, Value::Null) => {
            stream.write_all(text(status, "", String::new()).as_bytes())?;
        }
        Reply::Json(status, body) => {
            stream.write_all(text(status, "", body.to_string()).as_bytes())?;
        }
        Reply::Token(body) => {
            let token = format!("X-Subject-Token: {TOKEN}\r\n");
            stream.write_all(text(201, &token, body.to_string()).as_bytes())?;
        }
        Reply::Raw(bytes) => stream.write_all(bytes.as_bytes())?,
        Reply::Endless => {
            stream.write_all(format!("{endless}{{\"volumes\": [").as_bytes())?;
            let piece = b"{\"id\": \"x\"}, ".repeat(4096);
            // Ends when nobody reads any more.
            loop {
                stream.write_all(&piece)?;
            }
        }
        Reply::Drip => {
            stream.write_all(format!("{endless}{{\"volumes\": [").as_bytes())?;
            loop {
                stream.write_all(b" ")?;
                stream.flush()?;
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Reply::Silence => {
            // Until the other side has had enough.
            let _ = stream.read(&mut piece);
        }
    }
    stream.flush()
}
