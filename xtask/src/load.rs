//! A small HTTP/1.1 client for load: it costs so little that the server is what is measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// One connection, kept as long as the server keeps it.
pub(crate) struct Connection {
    address: String,
    stream: BufReader<TcpStream>,
    text: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Returns the answer if it has the status wanted.
    pub(crate) fn want(self, status: u16) -> Result<Self> {
        if self.status == status {
            return Ok(self);
        }
        bail!(
            "{} instead of {status}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        )
    }

    /// Reads the body.
    pub(crate) fn json(&self) -> Result<serde_json::Value> {
        serde_json::from_slice(&self.body).context("the answer is not JSON")
    }

    /// Returns a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) fn open(address: &str) -> Result<Self> {
        Ok(Self {
            stream: dial(address)?,
            address: address.to_owned(),
            text: Vec::new(),
        })
    }

    /// Sends a request and reads its answer; a connection that the server has closed is opened again.
    pub(crate) fn ask(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: Option<&str>,
    ) -> Result<Answer> {
        self.text.clear();
        write!(
            self.text,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Auth-Token: {token}\r\nOpenStack-API-Version: volume 3.64\r\nAccept: application/json\r\n",
            self.address
        )?;
        if let Some(body) = body {
            write!(
                self.text,
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            )?;
        }
        self.text.extend_from_slice(b"\r\n");
        self.text
            .extend_from_slice(body.unwrap_or_default().as_bytes());
        self.stream.get_mut().write_all(&self.text)?;
        let answer = read_answer(&mut self.stream)?;
        if answer.header("connection") == Some("close") {
            self.stream = dial(&self.address)?;
        }
        Ok(answer)
    }
}

fn dial(address: &str) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(BufReader::with_capacity(64 << 10, stream))
}

fn read_answer(stream: &mut BufReader<TcpStream>) -> Result<Answer> {
    let mut line = String::new();
    let mut next = |stream: &mut BufReader<TcpStream>| -> Result<String> {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            bail!("the server closed the connection");
        }
        Ok(line.trim_end().to_owned())
    };
    let first = next(stream)?;
    let status = first
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .with_context(|| format!("`{first}` is no status line"))?;
    let mut headers = Vec::new();
    loop {
        let line = next(stream)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer {
        status,
        headers,
        body: Vec::new(),
    };
    match answer.header("content-length") {
        Some(length) => {
            answer.body = vec![0; length.parse()?];
            stream.read_exact(&mut answer.body)?;
        }
        None if answer.header("connection") == Some("close") => {
            stream.read_to_end(&mut answer.body)?;
        }
        None => {}
    }
    Ok(answer)
}
