//! Asks servers how they are, beside the reconciles: a server that does not answer keeps nobody waiting. An answer that is new wakes
//! its ModelDeployment.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::runtime::reflector::ObjectRef;
use modelyard_core::diagnose::{Attention, Loading, attention};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::kept::Kept;
use super::probe::{self, Silence};
use super::shelf::owner_key;

/// Servers that are asked at once, over all ModelDeployments.
const AT_ONCE: usize = 64;

/// An answer is good for this long: a little less than a starting replica is looked at again.
const FRESH: Duration = Duration::from_millis(2500);

/// While replicas start, or models are on their way, what they say of themselves is asked again this often.
pub(super) const SOON: Duration = Duration::from_secs(3);

/// A server with a model that only somebody else can mend is asked again this often.
pub(super) const LATER: Duration = Duration::from_secs(30);

/// A server that is too busy so often in a row is believed to have nothing to say.
const TRIES: u32 = 3;

/// A server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// The name of its pod.
    pub(super) pod: String,
    /// Its address.
    pub(super) address: String,
    /// Since when it serves. What it said, or did not, before that is out of date.
    pub(super) ready: Option<Timestamp>,
    /// The SHA-256 of the configuration that it is to follow: once it does, and has nothing new to say, it is not asked any more.
    pub(super) follows: Option<Arc<str>>,
}

/// What there is to know.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// By the name of the pod; none: it was asked and said nothing.
    pub(super) said: HashMap<String, Option<Loading>>,
    /// Whether some were never asked so far. Their answers wake the object.
    pub(super) waiting: bool,
    /// Pods whose servers listened and said nothing, and may yet: a server that has just come is busy.
    pub(super) silent: HashSet<String>,
}

/// Who was asked, and what they said.
pub(super) struct Probes {
    permits: Arc<Semaphore>,
    known: Arc<Known>,
    wake: mpsc::Sender<ObjectRef<Kept>>,
    /// How long an answer is good.
    fresh: Duration,
}

/// By ModelDeployment, by pod.
type Known = Mutex<HashMap<String, HashMap<String, Answer>>>;

/// The newest of a server.
#[derive(Default)]
struct Answer {
    /// When it came, and what it was.
    last: Option<(Instant, Option<Loading>)>,
    /// Since when the server was ready when it was last asked.
    ready: Option<Timestamp>,
    asking: bool,
    /// How often in a row it said nothing.
    silences: u32,
}

impl Probes {
    /// Nobody was asked yet. Who reads the channel reconciles what it names.
    pub(super) fn new() -> (Self, mpsc::Receiver<ObjectRef<Kept>>) {
        let (wake, woken) = mpsc::channel(AT_ONCE);
        (Self { permits: Arc::new(Semaphore::new(AT_ONCE)), known: Arc::default(), wake, fresh: FRESH }, woken)
    }

    /// What `servers` of the ModelDeployment have said. Those whose answer is old are asked anew; of others nothing is known any more.
    pub(super) fn hear(&self, owner: &ObjectRef<Kept>, servers: Vec<Server>) -> Heard {
        let (key, mut known, mut heard) = (owner_key(owner), self.known.lock(), Heard::default());
        if servers.is_empty() {
            known.remove(&key);
            return heard;
        }
        let answers = known.entry(key).or_default();
        answers.retain(|pod, _| servers.iter().any(|server| server.pod == *pod));
        for server in servers {
            let answer = answers.entry(server.pod.clone()).or_default();
            if server.ready.is_some() && server.ready != answer.ready {
                (answer.last, answer.silences) = (None, 0);
            }
            match &answer.last {
                Some((_, said)) => drop(heard.said.insert(server.pod.clone(), said.clone())),
                None => heard.waiting = true,
            }
            if (1..TRIES).contains(&answer.silences) {
                heard.silent.insert(server.pod.clone());
            }
            let old = answer.last.as_ref().is_none_or(|(at, said)| {
                self.good_for(&server, said.as_ref(), answer.silences).is_some_and(|good| at.elapsed() >= good)
            });
            // Who is asked for the first time goes before who said nothing the last time: where all are silent, that takes long.
            let room = answer.silences == 0 || self.permits.available_permits() > AT_ONCE / 2;
            if old
                && room
                && !answer.asking
                && let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned()
            {
                (answer.asking, answer.ready) = (true, server.ready);
                self.ask(owner.clone(), server, permit);
            }
        }
        heard
    }

    /// How long an answer is good; none: until somebody changes something.
    fn good_for(&self, server: &Server, said: Option<&Loading>, silences: u32) -> Option<Duration> {
        let Some(digest) = &server.follows else { return Some(self.fresh) };
        match said.map(|said| attention(said, digest)) {
            Some(Attention::Enough) => None,
            Some(Attention::Later) => Some(LATER),
            None if silences >= TRIES => Some(LATER),
            Some(Attention::Soon) | None => Some(self.fresh),
        }
    }

    /// The ModelDeployment is gone.
    pub(super) fn forget(&self, owner: &ObjectRef<Kept>) {
        self.known.lock().remove(&owner_key(owner));
    }

    fn ask(&self, owner: ObjectRef<Kept>, server: Server, permit: OwnedSemaphorePermit) {
        let (known, wake) = (Arc::clone(&self.known), self.wake.clone());
        tokio::spawn(async move {
            let said = probe::loading(&server.address).await;
            let news = {
                let mut known = known.lock();
                let answer = known.get_mut(&owner_key(&owner)).and_then(|answers| answers.get_mut(&server.pod));
                // Nobody wants to know any more.
                let Some(answer) = answer else { return };
                answer.asking = false;
                answer.silences = match said {
                    Ok(_) => 0,
                    Err(Silence::Busy) => answer.silences.saturating_add(1),
                    Err(Silence::Absent) => TRIES,
                };
                let said = said.ok();
                let before = answer.last.replace((Instant::now(), said.clone()));
                before.is_none_or(|(_, before)| before != said)
            };
            drop(permit);
            if news {
                // Where nobody reads any more, the operator is on its way out.
                let _ = wake.send(owner).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn owner() -> ObjectRef<Kept> {
        ObjectRef::new("m").within("n")
    }

    fn server(pod: &str, address: &str) -> Server {
        Server { pod: pod.to_owned(), address: address.to_owned(), ready: None, follows: None }
    }

    #[tokio::test]
    async fn who_says_nothing_is_waited_for_by_nobody() {
        let (probes, mut woken) = Probes::new();
        // A connection to a multicast address is refused on this machine.
        let silent = || vec![server("a", "239.0.0.1"), server("b", "239.0.0.2")];
        let first = probes.hear(&owner(), silent());
        assert!(first.waiting && first.said.is_empty());
        assert_eq!(woken.recv().await, Some(owner()));
        assert_eq!(woken.recv().await, Some(owner()));
        let then = probes.hear(&owner(), silent());
        assert!(!then.waiting && then.said.len() == 2 && then.said.values().all(Option::is_none), "{then:?}");
        assert!(then.silent.is_empty(), "nobody is there to say something yet");
        assert_eq!(probes.known.lock().len(), 1);
        probes.hear(&owner(), Vec::new());
        assert!(probes.known.lock().is_empty(), "what nobody asks about is not kept");
    }

    #[tokio::test]
    async fn who_was_not_there_yet_is_asked_again_when_it_serves() {
        let address = own_address(7);
        let (probes, mut woken) = Probes::new();
        assert!(probes.hear(&owner(), vec![server("a", &address)]).waiting);
        assert_eq!(woken.recv().await, Some(owner()));
        assert_eq!(probes.hear(&owner(), vec![server("a", &address)]).said["a"], None);
        let ready = || vec![Server { ready: Some(Timestamp::UNIX_EPOCH), ..server("a", &address) }];
        let listener = tokio::net::TcpListener::bind((address.as_str(), probe::port())).await.unwrap();
        let heard = probes.hear(&owner(), ready());
        assert!(heard.waiting && heard.said.is_empty(), "its silence was from before it listened: {heard:?}");
        answer(&listener, r#"{"state":"Ready"}"#).await;
        assert_eq!(woken.recv().await, Some(owner()));
        let heard = probes.hear(&owner(), ready());
        assert!(!heard.waiting && heard.said["a"].is_some(), "{heard:?}");
    }

    /// Says this to the next who asks.
    async fn answer(listener: &tokio::net::TcpListener, body: &str) {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let head = format!("HTTP/1.1 503 Service Unavailable\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).await.unwrap();
    }

    /// An address of this process's own, on which every server listens.
    fn own_address(last: u8) -> String {
        let own = std::process::id();
        format!("127.{}.{}.{last}", 1 + own % 200, own / 200 % 200)
    }

    #[tokio::test]
    async fn who_is_busy_three_times_has_nothing_to_say() {
        let address = own_address(8);
        let listener = tokio::net::TcpListener::bind((address.as_str(), probe::port())).await.unwrap();
        let hanging_up = tokio::spawn(async move {
            loop {
                drop(listener.accept().await.unwrap());
            }
        });
        let (probes, _woken) = Probes::new();
        let probes = Probes { fresh: Duration::ZERO, ..probes };
        for tries in 0..=TRIES {
            let heard = probes.hear(&owner(), vec![server("a", &address)]);
            assert_eq!(heard.silent.contains("a"), (1..TRIES).contains(&tries), "after {tries}");
            drop(probes.permits.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap());
        }
        hanging_up.abort();
    }

    #[tokio::test]
    async fn who_follows_what_is_wanted_is_left_in_peace() {
        let address = own_address(10);
        let listener = tokio::net::TcpListener::bind((address.as_str(), probe::port())).await.unwrap();
        let (probes, mut woken) = Probes::new();
        let probes = Probes { fresh: Duration::ZERO, ..probes };
        let following = |digest: &str| {
            let ready = Some(Timestamp::UNIX_EPOCH);
            probes.hear(&owner(), vec![Server { ready, follows: Some(digest.into()), ..server("a", &address) }])
        };
        let all = || async {
            drop(probes.permits.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap());
        };
        assert!(following("one").waiting);
        answer(&listener, r#"{"state":"Ready","models":[{"name":"m","state":"Ready"}],"config":{"sha256":"one"}}"#).await;
        assert_eq!(woken.recv().await, Some(owner()));
        all().await;
        assert!(following("one").said["a"].is_some());
        let room = AT_ONCE;
        assert_eq!(probes.permits.available_permits(), room, "nobody is asked");
        assert!(following("two").said["a"].is_some());
        assert_eq!(probes.permits.available_permits(), room - 1, "something was changed");
        answer(&listener, r#"{"state":"Ready","models":[{"name":"m","state":"Failed"}],"config":{"sha256":"two"}}"#).await;
        assert_eq!(woken.recv().await, Some(owner()));
        all().await;
        following("two");
        assert_eq!(probes.permits.available_permits(), room, "what failed is not asked about all the time");
    }

    #[tokio::test]
    async fn an_answer_is_told_and_the_same_one_wakes_nobody() {
        let address = own_address(9);
        let listener = tokio::net::TcpListener::bind((address.as_str(), probe::port())).await.unwrap();
        let answering = tokio::spawn(async move {
            for _ in 0..2 {
                answer(&listener, r#"{"state":"Downloading","bytes":5,"totalBytes":9}"#).await;
            }
        });
        let (probes, mut woken) = Probes::new();
        let probes = Probes { fresh: Duration::ZERO, ..probes };
        let servers = || vec![server("a", &address)];
        assert!(probes.hear(&owner(), servers()).waiting);
        assert_eq!(woken.recv().await, Some(owner()));
        let heard = probes.hear(&owner(), servers());
        assert_eq!(heard.said["a"].as_ref().map(|loading| loading.bytes), Some(5));
        assert!(!heard.waiting, "the last answer is told until another comes");
        answering.await.unwrap();
        let all = u32::try_from(AT_ONCE).unwrap();
        let _nobody_asks_any_more = probes.permits.acquire_many(all).await.unwrap();
        assert!(woken.try_recv().is_err());
    }
}
