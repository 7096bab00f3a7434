//! A client that never stops: 200 predictions a second through the Service's address, from the node's network, half of them each on a
//! connection of its own, half on kept ones. It notes of each what became of it, and needs no API server to do so.
//!
//! Where nobody listens at an address, nothing was sent: it connects again, for a few seconds, as proxies and client libraries do, and counts
//! that apart. A request that was sent is never sent again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Service;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::cluster::repository;
use crate::namespace::{Namespace, PATIENCE};

/// Lanes that ask one after the other; half of them keep their connection.
const LANES: u32 = 20;
/// How often a lane asks.
const PERIOD: Duration = Duration::from_millis(100);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long an address may take to accept a connection: one whose machine is gone says nothing.
const CONNECT: Duration = Duration::from_secs(1);
/// How long it goes on connecting where nobody listens.
const AGAIN: Duration = Duration::from_secs(5);

/// What became of one request.
#[derive(Clone)]
struct Asked {
    began: Instant,
    ended: Instant,
    /// How often nobody listened, and what was said then.
    again: u32,
    unheard: Option<String>,
    /// The version that answered, or why there is no answer.
    outcome: Result<String, Lost>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It was sent, and the connection broke.
    Cut(String),
    /// An answer that is no prediction.
    Refused(String),
    /// It could not be sent.
    Unsent(String),
    /// Nothing came in ten seconds.
    Silence,
}

/// What was heard from a moment on.
pub(crate) struct Heard {
    all: Vec<Asked>,
}

pub(crate) struct Load {
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Target {
    address: String,
    request: Arc<Vec<u8>>,
}

impl Load {
    /// Starts to ask the ModelDeployment `name`, which is ready, and returns once it is answered.
    pub(crate) async fn start(namespace: &Namespace, name: &str) -> Self {
        let service = namespace.api::<Service>().get(name).await.unwrap();
        let address = format!("{}:80", service.spec.unwrap().cluster_ip.unwrap());
        let sample = std::fs::read_to_string(repository("examples/mnist/model/sample.json")).unwrap();
        let body = serde_json::from_str::<Value>(&sample).unwrap()["request"].to_string();
        let head = format!("POST /v2/models/{name}/infer HTTP/1.1\r\nhost: {name}\r\ncontent-type: application/json\r\n");
        let request = Arc::new(format!("{head}content-length: {}\r\n\r\n{body}", body.len()).into_bytes());
        let (stop, stopping) = watch::channel(false);
        let asked: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let (notes, target) = (Arc::clone(&asked), Target { address, request });
        // The test waits for programs; this must not wait with it.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                for lane in 0..LANES {
                    tokio::spawn(ask_all(lane, target.clone(), Arc::clone(&notes)));
                }
                let mut stopping = stopping;
                stopping.wait_for(|stop| *stop).await.unwrap();
            });
        });
        let load = Self { asked, stop, thread: Some(thread) };
        load.until_answered(Instant::now()).await;
        load
    }

    /// Waits until each lane has asked since, ten times each in the mean, the last of them with an answer.
    pub(crate) async fn until_answered(&self, since: Instant) {
        let answered = async {
            loop {
                tokio::time::sleep(Duration::from_millis(50)).await;
                let asked = self.asked.lock();
                let recent: Vec<_> = asked.iter().filter(|one| one.began >= since).collect();
                if recent.len() >= 200 && recent[recent.len() - 20..].iter().all(|one| one.outcome.is_ok()) {
                    return;
                }
            }
        };
        let outcome = timeout(PATIENCE, answered).await;
        let asked = self.asked.lock();
        let last: Vec<_> = asked.iter().rev().take(5).map(|one| &one.outcome).collect();
        assert!(outcome.is_ok(), "no prediction of 20 in a row; the last: {last:?}");
    }

    /// What was heard of requests that began since `mark`, once another second of them has been answered.
    pub(crate) async fn heard(&self, mark: Instant) -> Heard {
        self.until_answered(Instant::now()).await;
        Heard { all: self.asked.lock().iter().filter(|one| one.began >= mark).cloned().collect() }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            println!("the load broke off");
        }
    }
}

impl Heard {
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Requests without an answer: when each began and ended, and why.
    pub(crate) fn lost(&self) -> Vec<(Instant, Instant, &Lost)> {
        self.all.iter().filter_map(|one| Some((one.began, one.ended, one.outcome.as_ref().err()?))).collect()
    }

    /// Requests for which it had to connect again, and that were answered then.
    pub(crate) fn again(&self) -> usize {
        self.all.iter().filter(|one| one.again > 0 && one.outcome.is_ok()).count()
    }

    /// From the first to the last that had to connect again or was lost.
    pub(crate) fn disturbed(&self) -> Duration {
        let touched = || self.all.iter().filter(|one| one.again > 0 || one.outcome.is_err());
        let (first, last) = (touched().map(|one| one.began).min(), touched().map(|one| one.ended).max());
        first.zip(last).map_or(Duration::ZERO, |(first, last)| last.duration_since(first))
    }

    /// The versions that answered.
    pub(crate) fn versions(&self) -> BTreeSet<&str> {
        self.all.iter().filter_map(|one| one.outcome.as_deref().ok()).collect()
    }

    /// The longest that an answer took.
    pub(crate) fn longest(&self) -> Duration {
        self.all.iter().map(|one| one.ended.duration_since(one.began)).max().unwrap_or_default()
    }

    /// Panics unless every request was answered by the first server that it came to.
    pub(crate) fn assert_none_lost(&self) {
        assert_eq!(self.lost(), vec![], "of {} requests", self.count());
        let unheard: Vec<_> = self.all.iter().filter_map(|one| one.unheard.as_ref()).collect();
        assert_eq!(self.again(), 0, "of {} requests found nobody who listens: {unheard:?}", self.count());
    }
}

async fn ask_all(lane: u32, target: Target, notes: Arc<Mutex<Vec<Asked>>>) {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Not all at once.
    tokio::time::sleep(PERIOD / LANES * lane).await;
    let keeps = lane.is_multiple_of(2);
    let mut kept = None;
    loop {
        ticks.tick().await;
        let asked = ask(&target, &mut kept).await;
        if !keeps {
            kept = None;
        }
        notes.lock().push(asked);
    }
}

async fn ask(target: &Target, kept: &mut Option<TcpStream>) -> Asked {
    let (began, mut again, mut unheard) = (Instant::now(), 0, None);
    let outcome = loop {
        let mut stream = match kept.take().filter(is_open) {
            Some(stream) => stream,
            None => match timeout(CONNECT, TcpStream::connect(&target.address)).await {
                Ok(Ok(stream)) => stream,
                failed => {
                    let why = failed.map_or("no answer".to_owned(), |outcome| outcome.unwrap_err().to_string());
                    if began.elapsed() > AGAIN {
                        break Err(Lost::Unsent(why));
                    }
                    again += 1;
                    unheard = Some(why);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        break match timeout(ANSWER, exchange(&mut stream, &target.request)).await {
            Ok(Ok(answer)) if answer.status == 200 => {
                if !answer.last {
                    *kept = Some(stream);
                }
                Ok(answer.version)
            }
            Ok(Ok(answer)) => Err(Lost::Refused(answer.head)),
            Ok(Err(error)) => Err(Lost::Cut(error.to_string())),
            Err(_) => Err(Lost::Silence),
        };
    };
    Asked { began, ended: Instant::now(), again, unheard, outcome }
}

/// Whether the other end has not closed a kept connection.
fn is_open(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

struct Answer {
    status: u16,
    /// Whether the connection ends with it.
    last: bool,
    version: String,
    head: String,
}

async fn exchange(stream: &mut TcpStream, request: &[u8]) -> std::io::Result<Answer> {
    let ended = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "closed before the answer was whole");
    stream.write_all(request).await?;
    let mut bytes = Vec::new();
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(ended());
        }
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(line.trim().to_owned())
        };
        let length: usize = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() < length {
            continue;
        }
        let version = body.split_once("\"model_version\":\"").and_then(|(_, rest)| rest.split_once('"'));
        return Ok(Answer {
            status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
            last: field("connection").as_deref() == Some("close"),
            version: version.map(|(version, _)| version.to_owned()).unwrap_or_default(),
            head: format!("{} {body}", head.lines().next().unwrap_or_default()),
        });
    }
}
