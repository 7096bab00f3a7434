//! A store on a real socket that misbehaves as told: it writes bytes, so it can cut, stall and lie at any of them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One request as it came.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// What follows the verb: a path, or a whole URL if the client takes this for a proxy.
    pub(super) target: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The first byte of the range that is asked for.
    pub(super) fn from(&self) -> usize {
        let range = self.header("range").map(|range| range.trim_start_matches("bytes="));
        range.and_then(|range| range.split('-').next()).map_or(0, |from| from.parse().unwrap())
    }

    /// The byte after the last of the range that is asked for, if it has an end.
    fn until(&self) -> Option<usize> {
        let last = self.header("range")?.rsplit('-').next()?;
        Some(last.parse::<usize>().ok()? + 1)
    }
}

/// What to do with a connection after its request.
pub(super) enum Act {
    /// Write these bytes, then close.
    Close(Vec<u8>),
    /// Write these bytes, then say nothing for ever.
    Stall(Vec<u8>),
}

pub(super) struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `answer` is given each request and how many came before it.
    pub(super) async fn start(answer: impl Fn(&Asked, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<Asked>>>::default();
        let (answer, count, log) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, count, log) = (Arc::clone(&answer), Arc::clone(&count), Arc::clone(&log));
                tokio::spawn(async move {
                    let Some(asked) = read(&mut stream).await else { return };
                    log.lock().unwrap().push(asked.clone());
                    match answer(&asked, count.fetch_add(1, Ordering::SeqCst)) {
                        Act::Close(bytes) => {
                            // The client may have gone: that is its right.
                            let _ = stream.write_all(&bytes).await;
                            let _ = stream.shutdown().await;
                        }
                        Act::Stall(bytes) => {
                            stream.write_all(&bytes).await.unwrap();
                            // Until the client goes.
                            let _ = stream.read(&mut [0]).await;
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    /// Nobody listens any more.
    pub(super) async fn stop(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).unwrap();
    let mut lines = text.lines();
    let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length: &String| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { target, headers, body: String::from_utf8(body).unwrap() })
}

/// A whole answer; `extra` are further header lines, each with its line end.
pub(super) fn answer(status: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{extra}\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A good answer with an ETag, of which only `sent` bytes of the body are there.
pub(super) fn cut(body: &[u8], sent: usize) -> Vec<u8> {
    let whole = answer("200 OK", "etag: \"one\"\r\n", body);
    whole[..whole.len() - body.len() + sent].to_vec()
}

/// What a good store answers: the rest if it is asked for and the tag is the same, nothing new if that is known.
pub(super) fn proper(asked: &Asked, tag: &str, body: &[u8]) -> Act {
    let extra = format!("etag: \"{tag}\"\r\naccept-ranges: bytes\r\n");
    let quoted = format!("\"{tag}\"");
    if asked.header("if-none-match") == Some(&quoted) {
        return Act::Close(answer("304 Not Modified", &extra, b""));
    }
    let from = asked.from();
    let until = asked.until().unwrap_or(body.len()).min(body.len());
    if (from > 0 || asked.until().is_some()) && asked.header("if-range").is_none_or(|of| of == quoted) {
        if from >= body.len() {
            return Act::Close(answer("416 Range Not Satisfiable", &format!("content-range: bytes */{}\r\n", body.len()), b""));
        }
        let range = format!("{extra}content-range: bytes {from}-{}/{}\r\n", until - 1, body.len());
        return Act::Close(answer("206 Partial Content", &range, &body[from..until]));
    }
    Act::Close(answer("200 OK", &extra, body))
}
