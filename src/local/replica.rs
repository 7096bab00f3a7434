//! The life of one replica: a process, and the next one when it ends, until it is asked to stop.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::events::{Ending, Event, News};
use super::launch::{self, Launcher, Served};
use super::process::{Probe, Process, ports};
use super::screen::Screen;

/// How a replica is to stop; later ones are more pressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stop {
    /// It is not.
    No,
    /// As a pod: not ready, serve on for `drainDelay`, finish what is in flight.
    Gently,
    /// Nobody can reach it any more: at once, yet in order.
    Promptly,
    /// By force.
    Now,
}

/// What a replica needs to live.
pub(super) struct Life {
    pub(super) id: u64,
    /// Such as `mnist/1`.
    pub(super) name: String,
    /// What its server is to serve; the models may change.
    pub(super) served: watch::Receiver<Served>,
    pub(super) launcher: Launcher,
    /// For its ports and last words.
    pub(super) folder: PathBuf,
    pub(super) probe: Probe,
    pub(super) screen: Screen,
    pub(super) events: mpsc::UnboundedSender<Event>,
    pub(super) stop: watch::Receiver<Stop>,
}

/// Between two looks at a server that is on its way, and at one that is ready.
const EAGER: Duration = Duration::from_millis(10);
const CALM: Duration = Duration::from_millis(250);
/// A server that does not answer its probe for so long is ended.
const UNRESPONSIVE: Duration = Duration::from_secs(15);
/// For a server that is to end promptly, before it is ended by force.
const PROMPTNESS: Duration = Duration::from_secs(3);

/// How watching a process ended.
enum Watched {
    Ended(Ending),
    Asked,
}

impl Life {
    /// Lives until it is asked to stop. The last news is always [`News::Gone`].
    pub(super) async fn live(mut self) {
        let mut backoff = Backoff::default();
        let mut in_a_row = 0;
        while *self.stop.borrow() == Stop::No {
            let mut ready_since = None;
            let ending = match self.start() {
                Ok(mut process) => match self.watch(&mut process, &mut ready_since).await {
                    Watched::Asked => {
                        self.end(&mut process).await;
                        break;
                    }
                    Watched::Ended(ending) => ending,
                },
                Err(error) => Ending { message: format!("cannot start the server: {error}"), ..Ending::default() },
            };
            let ready = ready_since.map_or(Duration::ZERO, |since: Instant| since.elapsed());
            in_a_row = if ready_since.is_some() { 1 } else { in_a_row + 1 };
            let wait = backoff.next(ready);
            let next =
                if wait.is_zero() { "it starts again at once".to_owned() } else { format!("the next start is in {wait:?}") };
            self.screen.log(&self.name, &format!("{}; {next}", ending.message));
            self.tell(News::Ended(Ending { in_a_row, ..ending }));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = asked(&mut self.stop, Stop::No) => {}
            }
        }
        self.tell(News::Gone);
    }

    fn tell(&self, news: News) {
        // Nobody listens only once everything ends.
        let _ = self.events.send(Event::Replica(self.id, news));
    }

    fn start(&self) -> std::io::Result<Process> {
        std::fs::create_dir_all(&self.folder)?;
        let served = self.served.borrow().clone();
        launch::write(&served, &self.folder)?;
        let command = self.launcher.command(&served.config, &self.folder);
        let process = Process::start(command, &self.folder, &self.name, &self.screen)?;
        self.tell(News::Spawned { pid: process.pid() });
        Ok(process)
    }

    /// Follows a process until it ends or is to end, and tells each change of its readiness.
    async fn watch(&mut self, process: &mut Process, ready_since: &mut Option<Instant>) -> Watched {
        let mut stop = self.stop.clone();
        let (changed, folder, screen, name) = (self.served.clone(), self.folder.clone(), self.screen.clone(), self.name.clone());
        let following = self.follow(ready_since);
        let handing_on = hand_on(changed, &folder, |error| screen.log(&name, &format!("cannot hand the new models on: {error}")));
        tokio::select! {
            biased;
            () = asked(&mut stop, Stop::No) => Watched::Asked,
            ending = process.ended(&self.folder) => Watched::Ended(ending),
            () = handing_on => Watched::Asked,
            () = following => {
                process.signal(Signal::KILL);
                let ending = process.ended(&self.folder).await;
                let message = format!("the server did not answer its probe for {UNRESPONSIVE:?}");
                Watched::Ended(Ending { reason: Some("NotResponding".to_owned()), message, ..ending })
            }
        }
    }

    /// Probes a server; ends only if that no longer answers.
    async fn follow(&self, ready_since: &mut Option<Instant>) {
        let mut addresses = None;
        let mut last = None;
        let mut heard = Instant::now();
        while heard.elapsed() < UNRESPONSIVE {
            if addresses.is_none() {
                addresses = ports(&self.folder);
                if let Some((data, admin)) = addresses {
                    self.tell(News::Listening { data, admin });
                }
            }
            let readiness = match addresses {
                Some((_, admin)) => self.probe.readiness(admin).await,
                None => None,
            };
            if let Some(readiness) = readiness {
                heard = Instant::now();
                if readiness.is_ready() {
                    ready_since.get_or_insert(heard);
                }
                if last.as_ref() != Some(&readiness) {
                    last = Some(readiness.clone());
                    self.tell(News::Readiness(readiness));
                }
            }
            let calm = last.as_ref().is_some_and(|last| last.state == "Ready" || last.state == "Failed");
            // A probe's interval, as the kubelet has one: the server does not call.
            tokio::time::sleep(if calm { CALM } else { EAGER }).await;
        }
    }

    /// Ends a process as is asked, and by force if it takes too long.
    async fn end(&mut self, process: &mut Process) {
        let serving = self.served.borrow().config.serving.clone();
        let gently = serving.drain_delay + serving.request_timeout + Duration::from_secs(5);
        loop {
            let stop = *self.stop.borrow_and_update();
            let patience = match stop {
                Stop::No => return,
                Stop::Gently => {
                    process.signal(Signal::TERM);
                    gently
                }
                Stop::Promptly => {
                    // Two signals skip the delay; of two kinds, since two of one kind may fall together.
                    process.signal(Signal::TERM);
                    process.signal(Signal::INT);
                    PROMPTNESS
                }
                Stop::Now => {
                    process.signal(Signal::KILL);
                    Duration::MAX
                }
            };
            tokio::select! {
                biased;
                _ = process.ended(&self.folder) => return,
                () = asked(&mut self.stop, stop) => {}
                () = tokio::time::sleep(patience) => {
                    self.screen.log(&self.name, &format!("the server did not end within {patience:?}; it is killed"));
                    process.signal(Signal::KILL);
                    process.ended(&self.folder).await;
                    return;
                }
            }
        }
    }
}

/// Writes each change of the configuration where the server finds it; ends only when there will be no more.
async fn hand_on(mut served: watch::Receiver<Served>, folder: &std::path::Path, failed: impl Fn(std::io::Error)) {
    // One that came between the start and now is written once more.
    served.mark_changed();
    while served.changed().await.is_ok() {
        let now = served.borrow_and_update().clone();
        if let Err(error) = launch::write(&now, folder) {
            failed(error);
        }
    }
}

/// Waits until more than `than` is asked; if whoever asks has gone, that is the end of everything.
async fn asked(stop: &mut watch::Receiver<Stop>, than: Stop) {
    if stop.wait_for(|now| *now > than).await.is_err() {
        tracing::debug!("nobody is left to ask");
    }
}
