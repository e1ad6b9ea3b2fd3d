//! Everything that can be wrong with a cloud: each ends soon, with words and an exit code of its
//! own, and shows no secret.

#[allow(dead_code, reason = "each test file uses a part of it")]
use crate::support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use support::Bench;
use support::cloud::{Cloud, PASSWORD, Reply, TOKEN, sign_in, versions};

/// A cloud that signs in and has both services, and answers everything else so.
fn answering(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Cloud {
    Cloud::start(move |url, line| match line {
        "POST /identity/v3/auth/tokens" => sign_in(url, &["volumev3", "cbr"]),
        "GET /volume/v3/" => versions(),
        _ => reply(line),
    })
}

fn refusing(status: u16, body: Value) -> Cloud {
    answering(move |_| Reply::Json(status, body.clone()))
}

fn fault(kind: &str, status: u16) -> Cloud {
    refusing(
        status,
        json!({kind: {"code": status, "message": "So it is."}}),
    )
}

fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("crates/sdk/tests/tls")
        .join(name)
}

/// A cloud behind TLS that shows this certificate.
fn showing(pem: &str) -> Cloud {
    let certificate = CertificateDer::from_pem_file(tls_file(pem)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(tls_file(pem)).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    let config = Arc::new(config);
    Cloud::over(
        move |stream| {
            let session = rustls::ServerConnection::new(Arc::clone(&config)).ok()?;
            Some(Box::new(rustls::StreamOwned::new(session, stream)))
        },
        "https",
        |url, line| match line {
            "POST /identity/v3/auth/tokens" => sign_in(url, &["volumev3"]),
            "GET /volume/v3/" => versions(),
            _ => Reply::Json(200, json!({"volumes": []})),
        },
    )
}

/// One thing that is wrong.
struct Case {
    what: &'static str,
    cloud: Cloud,
    /// What stands in `clouds.yaml` instead of a way there.
    yaml: Option<String>,
    env: Vec<(&'static str, String)>,
    args: &'static str,
    code: i32,
    says: &'static str,
}

impl Case {
    fn new(what: &'static str, cloud: Cloud, code: i32, says: &'static str) -> Self {
        Self {
            what,
            cloud,
            yaml: None,
            env: Vec::new(),
            args: "volume list",
            code,
            says,
        }
    }

    fn args(mut self, args: &'static str) -> Self {
        self.args = args;
        self
    }

    fn yaml(mut self, yaml: impl Into<String>) -> Self {
        self.yaml = Some(yaml.into());
        self
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// Runs the command and returns what it says.
    fn run(&self) -> String {
        let bench = Bench::new();
        let yaml = self.yaml.clone().unwrap_or_else(|| self.cloud.yaml());
        std::fs::write(bench.path("clouds.yaml"), yaml).expect("written");
        let args: Vec<_> = self.args.split(' ').collect();
        let mut command = bench.command(&args);
        command
            .env("HOME", bench.path("home"))
            .env_remove("XDG_CONFIG_HOME")
            .env("RUST_BACKTRACE", "1")
            .env("RUST_LOG", "trace")
            .env("OS_CLIENT_CONFIG_FILE", bench.path("clouds.yaml"));
        for (name, value) in &self.env {
            command.env(name, value);
        }
        let begun = Instant::now();
        let ended = command.output().expect("the binary runs");
        let took = begun.elapsed();
        let err = String::from_utf8(ended.stderr).expect("text");
        let (what, says) = (self.what, self.says);
        assert_eq!(ended.status.code(), Some(self.code), "{what}: {err}");
        assert!(err.contains(says), "{what}: no '{says}' in: {err}");
        assert!(took < Duration::from_secs(60), "{what} took {took:?}");
        let out = String::from_utf8(ended.stdout).expect("text");
        for secret in [PASSWORD, TOKEN] {
            assert!(
                !err.contains(secret) && !out.contains(secret),
                "{what}: {err}"
            );
        }
        for form in ["panicked", "RUST_BACKTRACE", " { ", "Error("] {
            assert!(!err.contains(form), "{what} is not for people: {err}");
        }
        let longest = err.lines().map(|line| line.chars().count()).max();
        assert!(longest.unwrap_or(0) < 400, "{what}: {err}");
        err
    }
}

/// Says it all: a table of what is wrong, how the command ends, and what it says.
fn cases() -> Vec<Case> {
    let unused = || answering(|_| Reply::Silence);
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!("http://{}", listener.local_addr().expect("its address"))
    };
    let there = |url: &str| {
        format!(
            "clouds:\n  there:\n    auth: {{auth_url: '{url}', username: alice, password: {PASSWORD}, project_name: alpha}}\n    api_timeout: 2\n"
        )
    };
    let silent = Cloud::start(|_, _| Reply::Silence);
    let behind_tls = silent.url.replace("http://", "https://");
    let refused = || {
        Cloud::start(|_, _| {
            Reply::Json(
                401,
                json!({"error": {"code": 401, "message": "The request you have made requires authentication."}}),
            )
        })
    };
    let expired = refused();
    let expired_url = format!("{}/identity/v3", expired.url);
    let strange_catalogue =
        Cloud::start(|_, _| Reply::Token(json!({"token": {"catalog": "none"}})));
    let tokenless = Cloud::start(|_, _| Reply::Json(201, json!({"token": {"catalog": []}})));
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 33\r\nConnection: close\r\n\r\n<!DOCTYPE html><html>Hello</html>";
    let wide = "HTTP/1.1 302 Found\r\nLocation: http://login.example.org/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let torn = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\nConnection: close\r\n\r\n{\"volumes\": [{\"id\": \"x\",";
    let short =
        "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\nConnection: close\r\n\r\n{\"volumes\": [";
    let noise = "\0\0\0 this is no HTTP";
    vec![
        Case::new(
            "no cloud of that name",
            unused(),
            2,
            "holds no cloud 'elsewhere' (it holds there)",
        )
        .args("--os-cloud elsewhere volume list"),
        Case::new(
            "a file that is none",
            unused(),
            2,
            "is not a valid clouds.yaml",
        )
        .yaml("clouds: ["),
        Case::new("a password that is missing", unused(), 2, "lacks password")
            .yaml("clouds: {there: {auth: {auth_url: 'http://h', username: u}}}"),
        Case::new(
            "a way of signing in that is unknown",
            unused(),
            2,
            "authentication type 'v3oidc'",
        )
        .yaml("clouds: {there: {auth_type: v3oidc, auth: {auth_url: 'http://h'}}}"),
        Case::new("an address that is none", unused(), 1, "is not an address")
            .yaml(there("not an address")),
        Case::new("nobody listens", unused(), 1, "is the service running?").yaml(there(&closed)),
        Case::new("a host that is unknown", unused(), 1, "cannot be reached")
            .yaml(there("http://nowhere.invalid/v3")),
        Case::new(
            "a handshake that does not end",
            silent,
            5,
            "nothing was sent",
        )
        .yaml(there(&behind_tls)),
        Case::new(
            "silence at the sign-in",
            Cloud::start(|_, _| Reply::Silence),
            5,
            "auth/tokens did not answer in time",
        ),
        Case::new(
            "a wrong password",
            refused(),
            4,
            "check user, password and project",
        ),
        Case::new(
            "a token that ran out",
            expired,
            4,
            "has run out or was taken back",
        )
        .env("OS_CLOUD", "")
        .env("OS_AUTH_URL", expired_url)
        .env("OS_AUTH_TYPE", "v3token")
        .env("OS_TOKEN", TOKEN),
        Case::new(
            "a web page in place of identity",
            Cloud::start(move |_, _| Reply::Raw(page)),
            1,
            "the answer to POST /auth/tokens cannot be understood: it is a web page",
        ),
        Case::new(
            "a login page elsewhere",
            Cloud::start(move |_, _| Reply::Raw(wide)),
            1,
            "302",
        ),
        Case::new(
            "a sign-in without a token",
            tokenless,
            1,
            "it carries no token",
        ),
        Case::new(
            "a catalogue of another shape",
            strange_catalogue,
            1,
            "the answer to POST /auth/tokens cannot be understood: invalid type",
        ),
        Case::new(
            "a catalogue without the service",
            Cloud::start(|url, _| sign_in(url, &["cbr"])),
            3,
            "offers no 'block-storage' service",
        ),
        Case::new(
            "no CBR in the catalogue",
            Cloud::start(|url, _| sign_in(url, &["volumev3"])),
            3,
            "offers no 'cbr' service in region",
        )
        .args("--os-region-name R vault list"),
        Case::new(
            "what does not speak TLS",
            Cloud::start(move |_, _| Reply::Raw(noise)),
            1,
            "https://",
        )
        .yaml(there(&behind_tls_of(noise))),
        Case::new(
            "a certificate of an unknown authority",
            showing("good.pem"),
            1,
            "name the authority that signed it",
        ),
        Case::new(
            "a certificate out of its time",
            showing("expired.pem"),
            1,
            "set the clock if it is off",
        )
        .env("OS_CACERT", "")
        .yaml(String::new()),
        Case::new(
            "an authority's file that is not there",
            showing("good.pem"),
            1,
            "the certificate file nowhere.pem cannot be used",
        )
        .args("--os-cacert nowhere.pem volume list"),
        Case::new(
            "what speaks no HTTP",
            answering(move |_| Reply::Raw(noise)),
            1,
            "talking to",
        ),
        Case::new(
            "a web page in place of a list",
            answering(move |_| Reply::Raw(page)),
            1,
            "the answer to GET /volumes/detail cannot be understood: it is a web page",
        ),
        Case::new(
            "JSON that breaks off",
            answering(move |_| Reply::Raw(torn)),
            1,
            "it ends too early",
        ),
        Case::new(
            "an answer shorter than it says",
            answering(move |_| Reply::Raw(short)),
            1,
            "look whether it was done",
        ),
        Case::new(
            "JSON without end",
            answering(|_| Reply::Endless),
            1,
            "it is longer than 64 MiB",
        ),
        Case::new(
            "JSON that comes byte by byte",
            answering(|_| Reply::Drip),
            5,
            "volumes/detail did not answer in time",
        ),
        Case::new(
            "silence in place of a list",
            answering(|_| Reply::Silence),
            5,
            "look before asking again",
        ),
        Case::new(
            "JSON of another shape",
            refusing(200, json!({"volumes": [{"size": "large"}]})),
            1,
            "in 'volumes'",
        ),
        Case::new(
            "JSON without the key",
            refusing(200, json!({"items": []})),
            1,
            "it has no 'volumes'",
        ),
        Case::new(
            "an empty answer",
            answering(|_| {
                Reply::Raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            }),
            1,
            "it is empty",
        ),
        Case::new(
            "not allowed",
            fault("forbidden", 403),
            4,
            "the role of this user is not enough",
        ),
        Case::new(
            "over the limit",
            fault("overLimit", 413),
            4,
            "So it is.\n  `emberkeep quota show` shows what the project may have, and has\n  request id: req-7\n  asked: GET /volumes/detail, answered: 413 overLimit",
        ),
        Case::new(
            "in conflict",
            fault("conflictingRequest", 409),
            4,
            "So it is.",
        ),
        Case::new(
            "a service that fails",
            fault("computeFault", 500),
            1,
            "the service failed: So it is.",
        ),
        Case::new(
            "a service that is away",
            fault("serviceUnavailable", 503),
            1,
            "the service failed",
        ),
        Case::new(
            "not there",
            refusing(
                404,
                json!({"itemNotFound": {"code": 404, "message": "No."}}),
            ),
            3,
            "",
        )
        .args("volume show 2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f60"),
        Case::new(
            "a token that is good for nothing",
            refusing(401, json!({"error": {"code": 401, "message": "Expired."}})),
            4,
            "Expired.",
        ),
    ]
}

/// An https address where somebody says `words` and goes.
fn behind_tls_of(words: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(words.as_bytes());
        }
    });
    url
}

#[test]
fn each_is_told_in_its_own_words_and_in_time() {
    // Several at once: most of them wait for something that never comes.
    let cases: Vec<_> = cases()
        .into_iter()
        .map(|mut case| {
            if case.what == "JSON without end" {
                // The length is to end it, however slow this machine is just now.
                let patient = case
                    .cloud
                    .yaml()
                    .replace("api_timeout: 2", "api_timeout: 120");
                case.yaml = Some(patient);
            }
            if case.what == "a certificate out of its time" {
                let known = format!("    cacert: {}\n", tls_file("ca.pem").display());
                case.yaml = Some(case.cloud.yaml() + &known);
            }
            case
        })
        .collect();
    let told: Vec<(&str, String)> = std::thread::scope(|scope| {
        let running: Vec<_> = cases
            .iter()
            .map(|case| scope.spawn(move || (case.what, case.run())))
            .collect();
        running
            .into_iter()
            .map(|one| {
                one.join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let mut by_words: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (what, words) in &told {
        // Where it was said does not make it another message.
        let plain = words.replace(|c: char| c.is_ascii_digit(), "");
        by_words.entry(plain).or_default().push(what);
    }
    // What a service refuses with the same words is told with the same words.
    by_words.retain(|words, whats| whats.len() > 1 && !words.contains("So it is."));
    assert!(by_words.is_empty(), "told alike: {by_words:#?}");
}

#[test]
fn a_clock_that_is_off_is_named_and_stops_nothing() {
    let cloud = Cloud::start(|url, line| match line {
        "POST /identity/v3/auth/tokens" => {
            let Reply::Token(body) = sign_in(url, &["volumev3"]) else {
                unreachable!("a sign-in")
            };
            let text = format!(
                "HTTP/1.1 201 X\r\nConnection: close\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\nX-Subject-Token: {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
                body.to_string().len()
            );
            Reply::Raw(text.leak())
        }
        "GET /volume/v3/" => versions(),
        _ => Reply::Json(200, json!({"volumes": []})),
    });
    let words = Case::new("a clock", cloud, 0, "ahead of the cloud's").run();
    assert_eq!(words.lines().count(), 1, "{words}");
}

#[test]
fn a_proxy_is_gone_through() {
    // What a proxy is asked for is the whole address.
    let proxy = Cloud::start(|_, line| match line {
        "POST http://cloud.example.invalid/v3/auth/tokens" => {
            sign_in("http://cloud.example.invalid", &["volumev3"])
        }
        "GET http://cloud.example.invalid/volume/v3/" => versions(),
        _ => Reply::Json(200, json!({"volumes": []})),
    });
    let url = proxy.url.clone();
    let yaml = format!(
        "clouds: {{there: {{auth: {{auth_url: 'http://cloud.example.invalid/v3', username: u, password: {PASSWORD}}}}}}}"
    );
    Case::new("a proxy", proxy, 0, "")
        .yaml(yaml)
        .env("http_proxy", url)
        .run();
}

#[test]
fn who_reads_no_more_is_left_in_peace() {
    let many: Vec<_> = (0..5000)
        .map(|n| json!({"id": n.to_string(), "name": "v", "size": 1, "status": "available"}))
        .collect();
    let cloud = refusing(200, json!({"volumes": many}));
    let bench = Bench::new();
    std::fs::write(bench.path("clouds.yaml"), cloud.yaml()).expect("written");
    for format in ["table", "json", "yaml", "value"] {
        let mut child = bench
            .command(&["volume", "list", "-o", format])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdout.take());
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(0), "{format}");
        assert!(
            ended.stderr.is_empty(),
            "{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}

#[test]
fn completions_are_scripts() {
    let bench = Bench::new();
    for (shell, holds) in [
        ("bash", "complete -F _emberkeep"),
        ("zsh", "#compdef emberkeep"),
        ("fish", "complete -c emberkeep"),
    ] {
        let script = bench.ok(&["completions", shell]);
        assert!(
            script.contains(holds) && script.contains("checkpoint"),
            "{shell}"
        );
        let file = bench.path(shell);
        std::fs::write(&file, script).expect("written");
        // Those that are installed read it; bash is everywhere.
        match Command::new(shell).arg("-n").arg(&file).output() {
            Ok(read) => assert!(read.status.success(), "{shell}: {read:?}"),
            Err(error) => assert_ne!(shell, "bash", "{error}"),
        }
    }
}

#[test]
fn the_exit_codes_are_in_the_help() {
    let bench = Bench::new();
    let help = bench.ok(&["--help"]);
    assert!(
        help.contains(
            "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 timed out."
        ),
        "{help}"
    );
    assert!(
        !help.contains('\u{1b}'),
        "nothing but text goes into a pipe"
    );
    bench.fails(2, &["volume", "lift"]);
    bench.fails(2, &["volume", "create", "--size", "many", "x"]);
}
