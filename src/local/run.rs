//! The one task that owns everything, from the first look at the files to the last process.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use modelyard_core::resolve::Resolved;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};

use super::deployment::{Deployment, Revision, Slot, Starter};
use super::events::{Event, ModelState, News, Readiness};
use super::folder::Folder;
use super::launch::Launcher;
use super::models::Models;
use super::process::Probe;
use super::replica::{Life, Stop};
use super::screen::Screen;
use super::words::Words;
use super::{LocalError, Options, launch, routes, table, wanted};
use crate::gateway::{self, Limits, Running, Table};

/// What is in flight gets so long to finish at the end, whatever the deployments allow their requests.
const LAST_REQUESTS: Duration = Duration::from_secs(30);

pub(super) async fn run(options: &Options) -> Result<ExitCode, LocalError> {
    let failed = |what: &'static str| move |source| LocalError::System { what: what.to_owned(), source };
    let mut signals = Signals::new().map_err(failed("cannot handle signals"))?;
    let wanted = wanted::read(&options.files).map_err(LocalError::Refused)?;
    let launcher = Launcher::new(options)?;
    launch::check_cache(wanted.deployments.iter().map(|one| &one.config))?;
    let address = std::net::SocketAddr::new(options.host, options.port);
    let listener = std::net::TcpListener::bind(address).map_err(|source| LocalError::Bind { address, source })?;
    let (publish, tables) = watch::channel(Arc::new(Table::default()));
    let gateway = gateway::start(listener, tables, Limits::default()).map_err(failed("cannot start the gateway"))?;
    let temporary = std::env::temp_dir();
    let folder = Folder::new(&temporary).map_err(|source| {
        let what = format!("cannot make a folder in {} (TMPDIR names another place)", temporary.display());
        LocalError::System { what, source }
    })?;
    let (sender, mut events) = mpsc::unbounded_channel();
    let (models, taken) = watch::channel(wanted.models);
    tokio::spawn(super::watch::watch(options.files.clone(), taken, sender.clone()));

    let screen = Screen::new(options.output);
    let url = format!("http://{}", gateway.address());
    screen.tell(&format!("serving on {url}; Ctrl-C drains and ends"), &json!({ "event": "listening", "url": url }));
    let starter = Processes { launcher, folder, probe: Probe::new(), screen, events: sender, next: 0 };
    let mut local = Local {
        options,
        starter,
        url,
        publish,
        models,
        deployments: BTreeMap::new(),
        told: Value::Null,
        words: Words::default(),
        told_ports: BTreeSet::new(),
    };
    local.notes(&wanted.notes);
    local.want(wanted.deployments);
    local.carry_on();
    let stopped_by = loop {
        tokio::select! {
            biased;
            number = signals.next() => break number,
            Some(event) = events.recv() => local.take(event),
        }
    };
    Ok(local.end(gateway, &mut signals, &mut events, stopped_by).await)
}

struct Local<'a> {
    options: &'a Options,
    starter: Processes,
    url: String,
    publish: watch::Sender<Arc<Table>>,
    /// The models' files as they were when the deployments were read.
    models: watch::Sender<Models>,
    /// By name: `wanted` refuses two of one name.
    deployments: BTreeMap<String, Deployment>,
    /// What scripts were told of the deployments last.
    told: Value,
    /// What people were told, where lines are told.
    words: Words,
    /// The lines of replicas' own ports that are told, where lines are.
    told_ports: BTreeSet<String>,
}

impl Local<'_> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Replica(id, news) => self.hear(id, news),
            Event::Edited => match wanted::read(&self.options.files) {
                Ok(wanted) => {
                    let words = "the files have changed";
                    self.starter.screen.tell(words, &json!({ "event": "edited" }));
                    self.notes(&wanted.notes);
                    self.models.send_replace(wanted.models);
                    self.want(wanted.deployments);
                }
                Err(wrong) => {
                    let words = format!("{}\nthis edit is refused; what was there before serves on", wrong.join("\n"));
                    self.starter.screen.tell(&words, &json!({ "event": "refused", "messages": wrong }));
                }
            },
        }
        self.carry_on();
    }

    fn hear(&mut self, id: u64, news: News) {
        let owner = self.deployments.values_mut().find(|one| one.slots.iter().any(|slot| slot.id == id));
        if let Some(deployment) = owner {
            deployment.hear(id, news, Timestamp::now());
        }
    }

    fn notes(&self, notes: &[String]) {
        for note in notes {
            self.starter.screen.tell(&format!("note: {note}"), &json!({ "event": "note", "message": note }));
        }
    }

    /// Takes over what the files ask for.
    fn want(&mut self, wanted: Vec<Resolved>) {
        for (key, deployment) in &mut self.deployments {
            deployment.removed = wanted.iter().all(|one| one.name != *key);
        }
        for resolved in wanted {
            match self.deployments.get_mut(&resolved.name) {
                Some(deployment) => deployment.resolved = resolved,
                None => drop(self.deployments.insert(resolved.name.clone(), Deployment::new(resolved))),
            }
        }
    }

    /// Plans, starts, publishes, stops, tells: in this order, so that no request is sent to a replica that is told to stop.
    fn carry_on(&mut self) {
        let now = Timestamp::now();
        let mut stopping = Vec::new();
        let mut changed = Vec::new();
        for (key, deployment) in &mut self.deployments {
            let (plan, stop) = deployment.carry_on(&mut self.starter, now);
            stopping.extend(stop.into_iter().map(|id| (key.clone(), id)));
            deployment.forget();
            if deployment.tell(&plan, &self.url, now) {
                changed.push(key.clone());
            }
        }
        // A replica that is to stop is left out of the table before it knows.
        for (key, id) in &stopping {
            if let Some(slot) = self.deployments.get_mut(key).and_then(|one| one.slots.iter_mut().find(|slot| slot.id == *id)) {
                slot.leaving = true;
            }
        }
        self.publish.send_replace(Arc::new(routes::table(self.deployments.values(), false)));
        for (key, id) in stopping {
            self.deployments[&key].stop(id, Stop::Gently);
        }
        self.deployments.retain(|_, deployment| !deployment.removed || !deployment.slots.is_empty());
        self.words.keep(|name| self.deployments.contains_key(name));
        self.report(&changed);
    }

    /// Tells the status, if there is news in it.
    fn report(&mut self, changed: &[String]) {
        let all: Vec<Value> = self.deployments.values().map(object).collect();
        let event = json!({ "event": "status", "url": self.url, "deployments": all });
        if event == self.told {
            return;
        }
        let (told, url) = (&mut self.words, &self.url);
        let news = |one: &Deployment| Some(told.news((&one.resolved.name, &one.resolved.revision), one.status.as_ref()?, url));
        let mut words: Vec<String> =
            changed.iter().filter_map(|key| self.deployments.get(key)).filter_map(news).flatten().collect();
        if self.options.direct {
            let replicas = self.deployments.values().flat_map(|one| &one.slots);
            let ports: BTreeSet<String> =
                replicas.filter_map(|slot| Some(format!("{} is http://{}", slot.name, slot.backend.as_ref()?.address))).collect();
            words.extend(ports.difference(&self.told_ports).cloned());
            self.told_ports = ports;
        }
        if self.starter.screen.is_live() || self.options.output == super::Output::Json || !words.is_empty() {
            let lines = table::lines(self.deployments.values(), self.options.direct);
            self.starter.screen.status(lines, &words.join("\n"), &event);
        }
        self.told = event;
    }

    /// Readiness off, what is in flight finishes, every process ends; a second signal ends at once.
    async fn end(
        mut self,
        gateway: Running,
        signals: &mut Signals,
        events: &mut mpsc::UnboundedReceiver<Event>,
        stopped_by: i32,
    ) -> ExitCode {
        self.starter.screen.clear();
        self.starter.screen.tell("draining; Ctrl-C again ends at once", &json!({ "event": "draining" }));
        self.publish.send_replace(Arc::new(routes::table(self.deployments.values(), true)));
        let longest = self.deployments.values().map(|one| one.resolved.config.serving.request_timeout).max();
        let patience = longest.unwrap_or_default().min(LAST_REQUESTS);
        let how = if self.options.direct { Stop::Gently } else { Stop::Promptly };
        let orderly = async {
            if !gateway.stop(patience).await {
                let words = format!("requests are still in flight after {patience:?}; they are cut");
                self.starter.screen.tell(&words, &json!({ "event": "cut", "message": words }));
            }
            self.stop_all(how);
            self.until_all_gone(events).await;
        };
        let second = tokio::select! {
            biased;
            number = signals.next() => Some(number),
            () = orderly => None,
        };
        if second.is_some() {
            self.stop_all(Stop::Now);
            self.until_all_gone(events).await;
        }
        self.starter.screen.tell("ended", &json!({ "event": "ended" }));
        // As a shell tells of a process that a signal ended.
        second.map_or(ExitCode::SUCCESS, |_| ExitCode::from(u8::try_from(128 + stopped_by).unwrap_or(1)))
    }

    fn stop_all(&self, how: Stop) {
        for deployment in self.deployments.values() {
            deployment.slots.iter().for_each(|slot| deployment.stop(slot.id, how));
        }
    }

    async fn until_all_gone(&mut self, events: &mut mpsc::UnboundedReceiver<Event>) {
        while self.deployments.values().any(|one| !one.slots.is_empty()) {
            match events.recv().await {
                Some(Event::Replica(id, news)) => self.hear(id, news),
                Some(Event::Edited) => {}
                None => return,
            }
        }
    }
}

/// One deployment for scripts.
fn object(deployment: &Deployment) -> Value {
    let replicas: Vec<Value> = deployment
        .slots
        .iter()
        .map(|slot| {
            json!({
                "name": slot.name,
                "revision": slot.revision,
                "pid": slot.pid,
                "port": slot.backend.as_ref().map(|backend| backend.address.port()),
                "adminPort": slot.admin_port,
                "ready": slot.is_ready(),
                "stopping": slot.is_stopping(),
                "restarts": slot.restarts,
                "models": models(slot),
            })
        })
        .collect();
    json!({ "name": deployment.resolved.name, "revision": deployment.resolved.revision, "status": deployment.status, "replicas": replicas })
}

/// A replica's models, each with what it is and why.
fn models(slot: &Slot) -> Vec<Value> {
    let of = |model: &ModelState| {
        let told = model.refused.as_ref();
        let reason = told.map(|refused| &refused.reason).or(model.reason.as_ref());
        let message = told.map(|refused| &refused.message).or(model.message.as_ref());
        let digest = model.pin.as_ref().map(|pin| &pin.digest);
        json!({ "name": model.name, "state": model.state, "digest": digest, "memoryBytes": model.memory_bytes, "reason": reason, "message": message })
    };
    slot.readiness.models.iter().map(of).collect()
}

/// Replicas as processes of this machine.
struct Processes {
    launcher: Launcher,
    folder: Folder,
    probe: Probe,
    screen: Screen,
    events: mpsc::UnboundedSender<Event>,
    next: u64,
}

impl Starter for Processes {
    fn start(&mut self, revision: &Revision, name: String) -> Slot {
        self.next += 1;
        let (id, (stop, stopping)) = (self.next, watch::channel(Stop::No));
        let (served, following) = watch::channel(revision.served.clone());
        let folder: PathBuf = self.folder.path().join(id.to_string());
        let life = Life {
            id,
            name: name.clone(),
            served: following,
            launcher: self.launcher.clone(),
            folder,
            probe: self.probe.clone(),
            screen: self.screen.clone(),
            events: self.events.clone(),
            stop: stopping,
        };
        tokio::spawn(life.live());
        Slot {
            id,
            name,
            revision: revision.name.clone(),
            pid: None,
            admin_port: None,
            backend: None,
            readiness: Readiness::default(),
            failure: None,
            in_a_row: 0,
            restarts: 0,
            leaving: false,
            served,
            stop,
        }
    }
}

/// The signals that ask for an end.
struct Signals {
    all: [(Signal, i32); 3],
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let of = |kind: SignalKind| Ok::<_, std::io::Error>((signal(kind)?, kind.as_raw_value()));
        Ok(Self { all: [of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?] })
    }

    /// The number of the next one.
    async fn next(&mut self) -> i32 {
        let [(first, one), (second, two), (third, three)] = &mut self.all;
        tokio::select! {
            _ = first.recv() => *one,
            _ = second.recv() => *two,
            _ = third.recv() => *three,
        }
    }
}
