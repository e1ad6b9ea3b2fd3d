//! Encrypted connections: whom to trust, whom not, and clocks that are off.
//!
//! The authority in `tls/` has signed two certificates for 127.0.0.1: `good.pem` (2000 to 2099)
//! and `expired.pem` (2000). Their keys stand beside them and protect nothing.

use crate::cloud;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cloud::{Answer, Cloud, signed_in};
use emberkeep_sdk::{CloudConfig, Connection, SdkError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

/// A service that shows a certificate and then signs anybody in.
async fn showing(pem: &str) -> String {
    let certificate = CertificateDer::from_pem_file(file(pem)).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(file(pem)).expect("a key");
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("they fit");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    let body = signed_in("t", &url).body;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust us goes away.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut asked = [0; 8192];
            let _ = stream.read(&mut asked).await;
            let answer = format!(
                "HTTP/1.1 201 X\r\nX-Subject-Token: t\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    url
}

async fn open(url: &str, refine: impl FnOnce(&mut CloudConfig)) -> Result<Connection, SdkError> {
    let cloud = Cloud::signed_in(|_| Answer::text(404, "")).await;
    let mut config = cloud.config();
    config.auth_url = format!("{url}/v3");
    config.retries.count = 0;
    refine(&mut config);
    Connection::open(config).await
}

#[tokio::test]
async fn only_those_are_trusted_who_are_named() {
    let url = showing("good.pem").await;
    let error = open(&url, |_| {}).await.expect_err("nobody knows it");
    assert!(matches!(error, SdkError::Untrusted { .. }), "{error:?}");
    let known = |config: &mut CloudConfig| config.ca_file = Some(file("ca.pem"));
    assert!(open(&url, known).await.is_ok(), "its authority is named");
    assert!(open(&url, |config| config.verify = false).await.is_ok());
    for (what, ca) in [("no file", "nowhere.pem"), ("no certificate", "../tls.rs")] {
        let error = open(&url, |config| config.ca_file = Some(file(ca))).await;
        let error = error.expect_err(what);
        assert!(
            matches!(error, SdkError::CaFile { .. }),
            "{what}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_makes_one_look_at_the_clock() {
    let url = showing("expired.pem").await;
    let known = |config: &mut CloudConfig| config.ca_file = Some(file("ca.pem"));
    let error = open(&url, known).await.expect_err("it has run out");
    assert!(matches!(error, SdkError::WrongTime { .. }), "{error:?}");
    let words = error.to_string();
    assert!(words.contains("this machine's clock shows, 20"), "{words}");
}

#[tokio::test]
async fn a_plain_service_is_no_encrypted_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("https://{}", listener.local_addr().expect("its address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 64]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = open(&url, |_| {}).await.expect_err("it does not speak TLS");
    let kind = matches!(
        error,
        SdkError::Unreachable { .. } | SdkError::Transport { .. }
    );
    assert!(kind, "{error:?}");
}

#[tokio::test]
async fn clocks_are_compared_at_sign_in() {
    for (date, ahead) in [
        (Some("Sat, 01 Jan 2000 00:00:00 GMT"), Some(true)),
        (Some("Fri, 01 Jan 2100 00:00:00 GMT"), Some(false)),
        (Some("soon"), None),
        (None, None),
    ] {
        let cloud = Cloud::start(move |url, _, _| Answer {
            date,
            ..signed_in("t", url)
        })
        .await;
        let connection = cloud.connect().await;
        let off = connection.clock_ahead_secs().await;
        assert_eq!(off.map(|secs| secs > 0), ahead, "{date:?}");
    }
}
