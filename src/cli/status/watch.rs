//! The screen again after each change of the object or its events.

use std::io::{self, IsTerminal, Write};
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use futures_util::StreamExt;
use k8s_openapi::api::events::v1::Event;
use kube::runtime::{WatchStreamExt, watcher};
use modelyard_core::api::ModelDeployment;

use super::{Arguments, code, happened, selector};
use crate::cli::cluster::{Cluster, Seen, follow, interrupted};

/// Ages grow while nothing changes; on a terminal they are told again this often.
const AGEING: Duration = Duration::from_secs(10);

/// Shows it until Ctrl-C, or until it is deleted.
pub(super) async fn watch(arguments: &Arguments, cluster: &Cluster, mut object: ModelDeployment) -> anyhow::Result<ExitCode> {
    let mut objects = pin!(follow::<ModelDeployment>(cluster, &arguments.name));
    let of_it = watcher::Config::default().fields(&selector(&arguments.name));
    let mut events = pin!(watcher(cluster.api::<Event>(), of_it).default_backoff());
    let mut known = Known::default();
    let mut ended = pin!(interrupted());
    let mut ageing = tokio::time::interval(AGEING);
    let mut screen = Screen::new(arguments.output.is_none() && io::stdout().is_terminal());
    loop {
        tokio::select! {
            () = &mut ended => return Ok(code(&object)),
            _ = ageing.tick(), if screen.live => {}
            seen = objects.next() => match seen {
                Some(Ok(Seen::Object(now))) => object = *now,
                Some(Ok(Seen::Gone)) => {
                    crate::cli::say(format_args!("{} was deleted", arguments.name));
                    return Ok(ExitCode::from(super::ABSENT));
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Ok(code(&object)),
            },
            event = events.next() => match event {
                Some(Ok(change)) => known.change(change),
                // Who may not read events still sees the rest; the watch tries again by itself.
                Some(Err(_)) => known.complete = true,
                None => return Ok(code(&object)),
            },
        }
        if !known.complete {
            continue;
        }
        let text = arguments.text(&object, &happened::newest(&known.events))?;
        let text = if arguments.output.is_none() { crate::cli::Invoked::now().spoken(text) } else { text };
        if !screen.show(&text)? {
            return Ok(code(&object));
        }
    }
}

/// The events as the watch tells them.
#[derive(Default)]
struct Known {
    events: Vec<Event>,
    /// All that there were at the start have been told.
    complete: bool,
}

impl Known {
    fn change(&mut self, change: watcher::Event<Event>) {
        match change {
            watcher::Event::Init => self.events.clear(),
            watcher::Event::InitDone => self.complete = true,
            watcher::Event::InitApply(event) | watcher::Event::Apply(event) => {
                self.events.retain(|one| one.metadata.uid != event.metadata.uid);
                self.events.push(event);
            }
            watcher::Event::Delete(event) => self.events.retain(|one| one.metadata.uid != event.metadata.uid),
        }
    }
}

/// Where it is painted: over itself on a terminal, below itself elsewhere.
struct Screen {
    live: bool,
    shown: String,
}

impl Screen {
    const fn new(live: bool) -> Self {
        Self { live, shown: String::new() }
    }

    /// Shows a text unless it is there already; false when the reader went away.
    fn show(&mut self, text: &str) -> io::Result<bool> {
        if self.shown == text {
            return Ok(true);
        }
        // ESC [ H and ESC [ J of the VT100: to the top left, and clear from there.
        let before = match (self.live, self.shown.is_empty()) {
            (true, _) => "\x1b[H\x1b[J",
            (false, true) => "",
            (false, false) => "---\n",
        };
        text.clone_into(&mut self.shown);
        let mut out = io::stdout().lock();
        match out.write_all(before.as_bytes()).and_then(|()| out.write_all(text.as_bytes())).and_then(|()| out.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written.map(|()| true),
        }
    }
}
