//! Our server against the clients of others, and our client against their servers.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use emberkeep_nbd::protocol::BASE_ALLOCATION;
use emberkeep_nbd::tls::ClientProof;
use emberkeep_nbd::{
    Address, Client, ClientError, ClientOptions, Listener, Server, ServerOptions, ServerTls,
    SingleExport,
};
use support::{Memory, content, run, run_any, serve};

const SIZE: usize = 20 << 20;

fn uri(socket: &Path) -> String {
    format!("nbd+unix:///vol?socket={}", socket.display())
}

#[test]
fn libnbd_and_qemu_read_what_we_serve() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    std::fs::write(&image, content(SIZE)).unwrap();
    let image = image.to_str().unwrap();
    let memory = Memory::new(content(SIZE), false);
    let (_server, socket) = serve(dir.path(), memory, ServerOptions::default());
    let uri = uri(&socket);

    let info = run("nbdinfo", &[&uri]);
    for words in [
        "export-size: 20971520",
        "base:allocation",
        "is_read_only: true",
        "can_multi_conn: true",
        "can_flush: true",
    ] {
        assert!(info.contains(words), "{words} in {info}");
    }
    assert!(
        info.contains("newstyle-fixed") && info.contains("structured"),
        "{info}"
    );
    let listed = run("nbdinfo", &["--list", &uri]);
    assert!(listed.contains("export=\"vol\""), "{listed}");
    let map = run("nbdinfo", &["--map", &uri]);
    assert!(map.contains("hole,zero") && map.contains("data"), "{map}");

    let copy = dir.path().join("copy");
    let copy = copy.to_str().unwrap();
    run("nbdcopy", &[&uri, copy]);
    run("cmp", &[image, copy]);
    run("nbdcopy", &["--synchronous", "--no-extents", &uri, copy]);
    run("cmp", &[image, copy]);
    run(
        "qemu-img",
        &["compare", "-f", "raw", "-F", "raw", image, &uri],
    );
    run(
        "qemu-img",
        &["convert", "-f", "raw", "-O", "raw", &uri, copy],
    );
    run("cmp", &[image, copy]);
    let read = run(
        "qemu-io",
        &["-r", "-f", "raw", "-c", "read 1234k 777k", &uri],
    );
    assert!(read.contains("read 795648/795648"), "{read}");
}

#[test]
fn libnbd_and_qemu_write_what_we_serve() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    std::fs::write(&image, content(SIZE)).unwrap();
    let memory = Memory::new(vec![9; SIZE], true);
    let (_server, socket) = serve(dir.path(), memory.clone(), ServerOptions::default());
    let uri = uri(&socket);
    run("nbdcopy", &["--flush", image.to_str().unwrap(), &uri]);
    assert!(*memory.bytes.read().unwrap() == content(SIZE));
    run(
        "qemu-io",
        &[
            "-f",
            "raw",
            "-c",
            "write -P 5 1M 3M",
            "-c",
            "write -z 2M 64k",
            "-c",
            "discard 3M 64k",
            "-c",
            "flush",
            &uri,
        ],
    );
    let bytes = memory.bytes.read().unwrap();
    assert!(bytes[1 << 20..2 << 20].iter().all(|b| *b == 5));
    assert!(bytes[2 << 20..(2 << 20) + 65536].iter().all(|b| *b == 0));
    assert!(bytes[(2 << 20) + 65536..3 << 20].iter().all(|b| *b == 5));
}

/// A program that serves until it is dropped.
struct Serving(Child);

impl Serving {
    fn start(program: &str, arguments: &[&str], socket: &Path) -> Self {
        let child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|cause| panic!("{program} has to be installed: {cause}"));
        let serving = Self(child);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::os::unix::net::UnixStream::connect(socket).is_err() {
            assert!(Instant::now() < deadline, "{program} does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        serving
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read_all(client: &Client) -> Vec<u8> {
    let mut all = vec![0xAA; usize::try_from(client.size()).unwrap()];
    client.read_at(0, &mut all).unwrap();
    all
}

#[test]
fn we_read_and_write_what_qemu_nbd_serves() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    std::fs::write(&image, content(SIZE)).unwrap();
    let socket = dir.path().join("qemu.sock");
    let (path, at) = (image.to_str().unwrap(), socket.to_str().unwrap());
    let _qemu = Serving::start(
        "qemu-nbd",
        &["-t", "-e", "8", "-f", "raw", "-x", "vol", "-k", at, path],
        &socket,
    );
    let client = Client::connect(&support::address(&socket), ClientOptions::default()).unwrap();
    assert!(client.terms().structured && client.has_context(BASE_ALLOCATION));
    assert!(read_all(&client) == content(SIZE));
    let statuses = client
        .block_status(BASE_ALLOCATION, 100..SIZE as u64)
        .unwrap();
    assert_eq!(
        statuses.iter().map(|s| s.length).sum::<u64>(),
        SIZE as u64 - 100
    );
    let mut want = content(SIZE);
    client.write_at(99, &[3; 100_000]).unwrap();
    client.zero(1 << 20..3 << 20).unwrap();
    client.flush().unwrap();
    want[99..100_099].fill(3);
    want[1 << 20..3 << 20].fill(0);
    assert!(std::fs::read(&image).unwrap() == want);
    let names = Client::list(&support::address(&socket), ClientOptions::default()).unwrap();
    assert_eq!(names, ["vol"]);
}

#[test]
fn we_read_and_write_what_nbdkit_serves_in_its_ways() {
    let dir = tempfile::tempdir().unwrap();
    for (what, arguments) in [
        ("plain", &["memory", "20M"][..]),
        ("oldest handshake options", &["--no-sr", "memory", "20M"]),
        (
            "whole blocks only",
            &[
                "--filter=blocksize-policy",
                "memory",
                "20M",
                "blocksize-minimum=4096",
                "blocksize-maximum=1M",
                "blocksize-preferred=64K",
                "blocksize-error-policy=error",
            ],
        ),
        (
            "no zeroes",
            &["--filter=nozero", "memory", "20M", "zeromode=none"],
        ),
        (
            "one at a time",
            &[
                "--filter=multi-conn",
                "memory",
                "20M",
                "multi-conn-mode=disable",
            ],
        ),
    ] {
        let socket = dir.path().join(format!("{}.sock", what.replace(' ', "-")));
        let mut all = vec!["--foreground", "--unix", socket.to_str().unwrap()];
        all.extend(arguments);
        let _nbdkit = Serving::start("nbdkit", &all, &socket);
        let client = Client::connect(&support::address(&socket), ClientOptions::default()).unwrap();
        let mut want = vec![0; SIZE];
        assert!(read_all(&client) == want, "{what}");
        for (at, length) in [(0, 10), (4095, 3), (70_000, 3 << 20), (SIZE - 5, 5)] {
            want[at..at + length].fill(0x5a);
            client.write_at(at as u64, &vec![0x5a; length]).expect(what);
        }
        client.zero(100_000..1_000_001).expect(what);
        want[100_000..1_000_001].fill(0);
        client.flush().expect(what);
        assert!(read_all(&client) == want, "{what}");
    }
}

#[test]
fn errors_delays_and_lost_connections_of_a_server_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("error.sock");
    let at = socket.to_str().unwrap().to_owned();
    let mark = dir.path().join("fail");
    let trigger = format!("error-file={}", mark.display());
    let kit = [
        "--foreground",
        "--unix",
        &at,
        "--filter=error",
        "memory",
        "1M",
        "error=EIO",
        "error-rate=100%",
        &trigger,
    ];
    let nbdkit = Serving::start("nbdkit", &kit, &socket);
    let client = Client::connect(&support::address(&socket), ClientOptions::default()).unwrap();
    client.write_at(0, &[1; 100]).unwrap();
    std::fs::write(&mark, "").unwrap();
    for failed in [
        client.read_at(0, &mut [0; 100]).unwrap_err(),
        client.write_at(0, &[1; 100]).unwrap_err(),
        client.zero(0..4096).unwrap_err(),
    ] {
        assert!(matches!(failed, ClientError::Request { .. }), "{failed}");
    }
    std::fs::remove_file(&mark).unwrap();
    client.read_at(0, &mut [0; 100]).unwrap();
    drop(nbdkit);
    assert!(
        client
            .read_at(0, &mut [0; 100])
            .unwrap_err()
            .is_connection()
    );

    let socket = dir.path().join("slow.sock");
    let slow = [
        "--foreground",
        "--unix",
        socket.to_str().unwrap(),
        "--filter=delay",
        "memory",
        "1M",
        "rdelay=5",
    ];
    let _nbdkit = Serving::start("nbdkit", &slow, &socket);
    let options = ClientOptions {
        silence: Duration::from_millis(300),
        retries: 1,
        ..ClientOptions::default()
    };
    let client = Client::connect(&support::address(&socket), options).unwrap();
    let begun = Instant::now();
    let late = client.read_at(0, &mut [0; 100]).unwrap_err();
    assert!(
        late.is_connection() && begun.elapsed() < Duration::from_secs(4),
        "{late}"
    );
}

/// Makes an authority, and certificates of it for a server and a client.
fn certificates(dir: &Path) {
    let file = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    let key = |name: &str| {
        run(
            "openssl",
            &[
                "ecparam",
                "-name",
                "prime256v1",
                "-genkey",
                "-noout",
                "-out",
                &file(name),
            ],
        )
    };
    key("ca-key.pem");
    run(
        "openssl",
        &[
            "req",
            "-x509",
            "-key",
            &file("ca-key.pem"),
            "-out",
            &file("ca-cert.pem"),
            "-subj",
            "/CN=authority",
            "-days",
            "2",
        ],
    );
    for (who, names) in [
        ("server", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ("client", "subjectAltName=DNS:somebody"),
    ] {
        key(&format!("{who}-key.pem"));
        let request = file("request.pem");
        run(
            "openssl",
            &[
                "req",
                "-new",
                "-key",
                &file(&format!("{who}-key.pem")),
                "-out",
                &request,
                "-subj",
                &format!("/CN={who}"),
            ],
        );
        std::fs::write(dir.join("ext"), names).unwrap();
        run(
            "openssl",
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-CA",
                &file("ca-cert.pem"),
                "-CAkey",
                &file("ca-key.pem"),
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                &file("ext"),
                "-out",
                &file(&format!("{who}-cert.pem")),
            ],
        );
    }
}

#[test]
fn tls_keeps_strangers_out() {
    let dir = tempfile::tempdir().unwrap();
    let pki = dir.path().join("pki");
    let anonymous = dir.path().join("anonymous");
    std::fs::create_dir(&pki).unwrap();
    std::fs::create_dir(&anonymous).unwrap();
    certificates(&pki);
    std::fs::copy(pki.join("ca-cert.pem"), anonymous.join("ca-cert.pem")).unwrap();
    let image = dir.path().join("image");
    std::fs::write(&image, content(SIZE)).unwrap();
    for proof in [ClientProof::None, ClientProof::Certificate] {
        let options = ServerOptions {
            tls: Some(ServerTls::load(&pki, proof).unwrap()),
            ..ServerOptions::default()
        };
        let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let exports =
            std::sync::Arc::new(SingleExport::new("vol", Memory::new(content(SIZE), false)));
        let server = Server::start(listener, exports, options).unwrap();
        let mut address = Address::new(server.place().clone(), "vol");
        let plain = Client::connect(&address, ClientOptions::default()).unwrap_err();
        assert!(matches!(plain, ClientError::Refused { .. }), "{plain}");
        address.tls = true;
        address.tls_certificates = Some(pki.clone());
        let client = Client::connect(&address, ClientOptions::default()).unwrap();
        assert!(read_all(&client) == content(SIZE));
        let theirs = address.to_string();
        let copy = dir.path().join("copy");
        run("nbdcopy", &[&theirs, copy.to_str().unwrap()]);
        run("cmp", &[image.to_str().unwrap(), copy.to_str().unwrap()]);
        address.tls_certificates = Some(anonymous.clone());
        let stranger = Client::connect(&address, ClientOptions::default());
        let nbdinfo = run_any("nbdinfo", &[&address.to_string()]);
        let let_in = proof == ClientProof::None;
        assert_eq!(
            (stranger.is_ok(), nbdinfo.status.success()),
            (let_in, let_in)
        );
    }
    // And the other way round: their server, our client.
    let socket = dir.path().join("kit.sock");
    let pki_option = format!("--tls-certificates={}", pki.display());
    let kit = [
        "--foreground",
        "--unix",
        socket.to_str().unwrap(),
        "--tls=require",
        &pki_option,
        "--tls-verify-peer",
        "memory",
        "1M",
    ];
    let _nbdkit = Serving::start("nbdkit", &kit, &socket);
    let mut address = support::address(&socket);
    assert!(Client::connect(&address, ClientOptions::default()).is_err());
    address.tls = true;
    address.tls_certificates = Some(pki);
    let client = Client::connect(&address, ClientOptions::default()).unwrap();
    client.write_at(5, b"secret").unwrap();
    let mut back = [0; 6];
    client.read_at(5, &mut back).unwrap();
    assert_eq!(&back, b"secret");
}
