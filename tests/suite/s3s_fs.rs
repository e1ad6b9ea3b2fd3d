//! A repository in a bucket of s3s-fs, a server that answers otherwise than moto does: what our
//! store asks of a bucket, and the offline commands of the real binary.
//!
//! The store's whole conformance suite runs on moto (`tests-e2e/s3.py`). Here it cannot: s3s-fs keeps
//! objects as files, so that what lies below another object's name cannot be told apart from it (no
//! name of a repository lies below another), and of several writers who put one name if it is absent
//! all are told that they did, so that it is no place for several processes at once.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::{Command, Output};

use emberkeep_store::{Exclusion, ObjectStore, S3Place, S3Store, StoreError, list_all};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const BUCKET: &str = "emberkeep";
const MIB: usize = 1 << 20;

/// The server, for as long as it is kept.
struct Server {
    url: String,
    _runtime: Runtime,
}

impl Server {
    fn start(dir: &Path) -> Self {
        std::fs::create_dir(dir.join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir).unwrap());
        service.set_auth(SimpleAuth::from_single("test", "testtest"));
        let service = service.build();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, service));
        Self {
            url,
            _runtime: runtime,
        }
    }

    fn run(&self, command: &mut Command) -> Output {
        let environment = [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "testtest"),
            ("AWS_REGION", "us-east-1"),
        ];
        let done = command.envs(environment).output().unwrap();
        let said = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (said(&done.stdout), said(&done.stderr));
        assert!(done.status.success(), "{command:?}: {out}{err}");
        done
    }
}

async fn serve(listener: TcpListener, service: S3Service) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new();
            // A client that goes away is no affair of ours.
            let _ = connection
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// Where the child puts its objects; its settings come from the environment.
const PLACE: &str = "EMBERKEEP_TEST_S3S_PLACE";

#[test]
fn the_store_gets_what_it_asks_for() {
    if let Ok(place) = std::env::var(PLACE) {
        let open = |name: &str| {
            let place = format!("{place}/{name}");
            S3Store::open(S3Place::parse(&place).unwrap()).unwrap()
        };
        objects_are_read_back(&open("objects"));
        lists_are_ordered_and_paged(&open("lists"));
        return;
    }
    let room = tempfile::tempdir().unwrap();
    let server = Server::start(room.path());
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "s3s_fs::the_store_gets_what_it_asks_for"]);
    server.run(child.env(PLACE, format!("s3://{BUCKET}/suite")));
}

fn objects_are_read_back(store: &S3Store) {
    // A race shows it, and on a busy machine not every race happens.
    let found = (0..100).find_map(|_| match store.exclusion().unwrap() {
        Exclusion::Full => None,
        other => Some(other),
    });
    assert_eq!(found, Some(Exclusion::OneByOne));
    // The second is larger than what goes in one request.
    for (name, size) in [("empty", 0), ("large", 65 * MIB + 3), ("dir/sub/small", 5)] {
        let bytes = vec![9; size];
        store
            .put_if_absent(name, &[&bytes[..size / 2], &bytes[size / 2..]])
            .unwrap();
        assert!(store.get(name).unwrap() == bytes, "{name}");
        assert_eq!(store.head(name).unwrap(), Some(size as u64), "{name}");
        let again = store.put_if_absent(name, &[b"other"]);
        assert!(
            matches!(again, Err(StoreError::AlreadyExists { .. })),
            "{name}: {again:?}"
        );
        store.put(name, &[b"0123456789"]).unwrap();
        assert_eq!(store.get_range(name, 3..7).unwrap(), b"3456", "{name}");
        let past = store.get_range(name, 8..11);
        assert!(
            matches!(past, Err(StoreError::OutOfRange { .. })),
            "{name}: {past:?}"
        );
    }
    let missing = store.get("no/such");
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{missing:?}"
    );
    assert_eq!(store.head("no/such").unwrap(), None);
    let names = ["large", "dir/sub/small", "never/there"].map(str::to_owned);
    for _ in 0..2 {
        store.delete_many(&names).unwrap();
        let left = list_all(store, "").unwrap();
        let left: Vec<_> = left
            .iter()
            .map(|object| (object.name.as_str(), object.size))
            .collect();
        assert_eq!(left, [("empty", 10)]);
    }
}

fn lists_are_ordered_and_paged(store: &S3Store) {
    let mut names: Vec<String> = (0..25).map(|n| format!("p/{:02x}/{n:04}", n % 7)).collect();
    names.extend(["a-b", "a/c", "b"].map(str::to_owned));
    names.sort();
    for name in &names {
        store.put(name, &[b"x"]).unwrap();
    }
    for prefix in ["", "p/", "p/03/", "none"] {
        let want: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .collect();
        for limit in [1, 4, 1000] {
            let (mut got, mut after) = (Vec::new(), None::<String>);
            loop {
                let page = store.list(prefix, after.as_deref(), limit).unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.name.clone());
                got.extend(page.into_iter().map(|object| object.name));
            }
            assert_eq!(
                got.iter().collect::<Vec<_>>(),
                want,
                "{prefix:?}, {limit} at a time"
            );
        }
    }
}

#[test]
fn a_repository_lives_in_it() {
    let room = tempfile::tempdir().unwrap();
    let data = room.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let server = Server::start(&data);
    let (image, out) = (room.path().join("disk.img"), room.path().join("out.img"));
    let url = format!("s3://{BUCKET}/repository");
    let repo = |verb: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_emberkeep"));
        command.env("EMBERKEEP_KEY_FILE", room.path().join("master.key"));
        server.run(command.args(["repo", verb, &url]).args(more))
    };
    let mut bytes = vec![0; 24 * MIB];
    let mut state = 7_u64;
    for chunk in bytes[MIB..9 * MIB].chunks_exact_mut(8) {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        chunk.copy_from_slice(&(state ^ (state >> 29)).to_le_bytes());
    }
    let (image_path, out_path) = (image.to_str().unwrap(), out.to_str().unwrap());
    repo("init", &[]);
    std::fs::write(&image, &bytes).unwrap();
    repo("backup", &[image_path, "--name", "first"]);
    bytes[5 * MIB..6 * MIB].fill(3);
    std::fs::write(&image, &bytes).unwrap();
    repo("backup", &[image_path, "--name", "second"]);
    repo("delete", &["first"]);
    repo("sweep", &[]);
    repo("check", &["--read-data"]);
    let listed = repo("list", &["-o", "json"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("second"));
    repo("restore", &["second", out_path]);
    assert!(std::fs::read(&out).unwrap() == bytes);
}
