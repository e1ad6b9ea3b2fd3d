//! Our client against our server.
#![allow(clippy::unwrap_used, reason = "a test")]

use crate::support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use emberkeep_nbd::protocol::{BASE_ALLOCATION, Command, REQUEST_MAGIC, Request, WireError};
use emberkeep_nbd::{
    Address, Client, ClientError, ClientOptions, ExportError, Listener, Place, Server,
    ServerOptions, SingleExport, Status,
};
use support::{Memory, address, content, serve};

fn client(socket: &std::path::Path) -> Client {
    Client::connect(&address(socket), ClientOptions::default()).unwrap()
}

#[test]
fn what_is_served_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = content(9 << 20);
    let memory = Memory::new(bytes.clone(), false);
    let (server, socket) = serve(dir.path(), memory, ServerOptions::default());
    let client = client(&socket);
    assert_eq!(client.size(), bytes.len() as u64);
    assert!(!client.is_writable() && client.terms().structured);
    let mut all = vec![0xAA; bytes.len()];
    client.read_at(0, &mut all).unwrap();
    assert!(all == bytes);
    std::thread::scope(|scope| {
        for reader in 0..8usize {
            let (client, bytes) = (&client, &bytes);
            scope.spawn(move || {
                let mut buf = vec![0; 77_777];
                for (i, part) in bytes.chunks(buf.len()).enumerate().skip(reader) {
                    let at = (i * buf.len()) as u64;
                    client.read_at(at, &mut buf[..part.len()]).unwrap();
                    assert!(&buf[..part.len()] == part, "at {at}");
                }
            });
        }
    });
    assert!(
        server.connections() <= 4,
        "no more than the client may open"
    );

    let statuses = client
        .block_status(BASE_ALLOCATION, 0..client.size())
        .unwrap();
    assert_eq!(
        statuses.iter().map(|s| s.length).sum::<u64>(),
        client.size()
    );
    let mut at = 0;
    for Status { length, flags } in statuses {
        let end = at + usize::try_from(length).unwrap();
        assert_eq!(
            flags == 3,
            bytes[at..end].iter().all(|b| *b == 0),
            "{at}..{end}"
        );
        at = end;
    }

    assert!(matches!(
        client.read_at(client.size() - 1, &mut [0; 2]),
        Err(ClientError::OutOfRange { .. })
    ));
    assert!(matches!(
        client.write_at(0, b"x"),
        Err(ClientError::Unable(_))
    ));
    let names = Client::list(&address(&socket), ClientOptions::default()).unwrap();
    assert_eq!(names, ["vol"]);
    let wrong = Address::new(Place::Unix(socket.clone()), "other");
    let refused = Client::connect(&wrong, ClientOptions::default()).unwrap_err();
    assert!(
        matches!(refused, ClientError::NoSuchExport { .. }),
        "{refused}"
    );
    drop(client);
    server.stop();
    assert!(!socket.exists());
}

#[test]
fn what_is_written_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::new(vec![7; 5 << 20], true);
    let (_server, socket) = serve(dir.path(), memory.clone(), ServerOptions::default());
    let client = client(&socket);
    let mut want = vec![7; 5 << 20];
    let data = content(3 << 20);
    client.write_at(12_345, &data).unwrap();
    want[12_345..12_345 + data.len()].copy_from_slice(&data);
    client.zero(1_000_000..2_000_001).unwrap();
    want[1_000_000..2_000_001].fill(0);
    assert!(*memory.bytes.read().unwrap() == want);
    client.flush().unwrap();
    assert_eq!(memory.flushes.load(Relaxed), 1);

    memory.broken.store(true, Relaxed);
    let failed = client.write_at(0, b"x").unwrap_err();
    assert!(
        matches!(
            failed,
            ClientError::Request {
                error: WireError::IO,
                ..
            }
        ),
        "{failed}"
    );
    let failed = client.read_at(0, &mut [0; 10]).unwrap_err();
    let words = failed.to_string();
    assert!(
        words.contains("reading 10 bytes at 0") && !words.contains("fire"),
        "{words}"
    );
    assert!(
        ExportError::Medium("disk".into())
            .to_string()
            .contains("medium")
    );
    memory.broken.store(false, Relaxed);
    client.read_at(0, &mut [0; 10]).unwrap();
}

#[test]
fn a_read_survives_a_broken_connection_and_a_write_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Memory::new(content(1 << 20), true);
    let (server, socket) = serve(dir.path(), memory.clone(), ServerOptions::default());
    let client = client(&socket);
    client.read_at(0, &mut [0; 10]).unwrap();
    server.stop();
    let (server, _) = serve(dir.path(), memory.clone(), ServerOptions::default());
    client.read_at(0, &mut [0; 10]).unwrap();
    server.stop();
    let (server, _) = serve(dir.path(), memory, ServerOptions::default());
    assert!(client.write_at(0, b"x").unwrap_err().is_connection());
    drop(server);
    assert!(client.read_at(0, &mut [0; 10]).unwrap_err().is_connection());
}

/// Counts what comes until the other side hangs up, however rudely.
fn drain(stream: &mut UnixStream) -> usize {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => all.len(),
        Err(cause) if cause.kind() == std::io::ErrorKind::ConnectionReset => all.len(),
        Err(cause) => panic!("{cause}"),
    }
}

#[test]
fn silent_and_rude_clients_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let options = ServerOptions {
        handshake: Duration::from_millis(300),
        stall: Duration::from_millis(300),
        max_connections: 3,
        ..ServerOptions::default()
    };
    let memory = Memory::new(content(1 << 20), true);
    let (server, socket) = serve(dir.path(), memory, options);
    // One that never says anything is hung up on.
    let mut silent = UnixStream::connect(&socket).unwrap();
    assert_eq!(drain(&mut silent), 18, "the greeting and no more");
    // One that talks nonsense too.
    let mut rude = UnixStream::connect(&socket).unwrap();
    rude.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    drain(&mut rude);
    // One that begins a write and stops there.
    let good = client(&socket);
    let mut stalled = UnixStream::connect(&socket).unwrap();
    let mut hello = [0; 18];
    stalled.read_exact(&mut hello).unwrap();
    stalled.write_all(&3u32.to_be_bytes()).unwrap();
    stalled
        .write_all(b"IHAVEOPT\0\0\0\x01\0\0\0\x03vol")
        .unwrap();
    stalled.read_exact(&mut [0; 10]).unwrap();
    let request = Request {
        flags: 0,
        command: Command::Write,
        cookie: 1,
        offset: 0,
        length: 100,
    };
    stalled.write_all(&request.encode()).unwrap();
    stalled.write_all(&[1; 50]).unwrap();
    assert_eq!(drain(&mut stalled), 0, "no answer to half a write");
    // More than allowed are turned away, and those that are in go on.
    let more: Vec<_> = (0..4)
        .map(|_| UnixStream::connect(&socket).unwrap())
        .collect();
    let turned_away = more.iter().filter(|stream| {
        let mut stream = *stream;
        matches!(stream.read(&mut [0; 18]), Ok(0) | Err(_))
    });
    assert!(turned_away.count() >= 2);
    good.read_at(0, &mut [0; 10]).unwrap();
    assert_eq!(REQUEST_MAGIC, 0x2560_9513);
    server.stop();
}

#[test]
fn a_server_on_the_network_says_where_it_listens() {
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let memory = Memory::new(content(1 << 20), false);
    let exports = std::sync::Arc::new(SingleExport::new("vol", memory));
    let server = Server::start(listener, exports, ServerOptions::default()).unwrap();
    let address = Address::new(server.place().clone(), "");
    let client = Client::connect(&address, ClientOptions::default()).unwrap();
    assert_eq!(client.size(), 1 << 20);
    server.stop();
    assert!(client.read_at(0, &mut [0; 1]).is_err());
}
