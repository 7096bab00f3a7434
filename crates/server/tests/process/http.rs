//! A client of HTTP/1.1 of which every byte is known.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// No answer here takes longer; a test that waits for one fails instead of hanging.
const PATIENCE: Duration = Duration::from_secs(60);

/// A response with `Content-Length`.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// A connection that is kept open.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pending: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, pending: Vec::new() })
    }

    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<Response> {
        self.send(&request(path, body))?;
        self.read()
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next response. A connection that ends before its first byte is `ConnectionAborted`; within it, `UnexpectedEof`.
    pub(crate) fn read(&mut self) -> io::Result<Response> {
        let end = loop {
            if let Some(at) = self.pending.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill()?;
        };
        let head = String::from_utf8(self.pending[..end].to_vec()).map_err(io::Error::other)?;
        let mut response = Response { status: 0, head, body: String::new() };
        response.status = response.head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        let length = response.header("content-length").map_or(Ok(0), str::parse).map_err(io::Error::other)?;
        while self.pending.len() - end < length {
            self.fill()?;
        }
        response.body = String::from_utf8(self.pending[end..end + length].to_vec()).map_err(io::Error::other)?;
        self.pending.drain(..end + length);
        Ok(response)
    }

    fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 64 << 10];
        let count = self.stream.read(&mut buffer)?;
        if count == 0 {
            let early = if self.pending.is_empty() { io::ErrorKind::ConnectionAborted } else { io::ErrorKind::UnexpectedEof };
            return Err(early.into());
        }
        self.pending.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    /// Reads until the other side closes; whether it did.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => true,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// A POST of JSON.
pub(crate) fn request(path: &str, body: &str) -> Vec<u8> {
    format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// One GET on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Response> {
    let mut connection = Connection::open(address)?;
    connection.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").as_bytes())?;
    connection.read()
}

/// One POST on a connection of its own.
pub(crate) fn post(address: SocketAddr, path: &str, body: &str) -> io::Result<Response> {
    Connection::open(address)?.post(path, body)
}
