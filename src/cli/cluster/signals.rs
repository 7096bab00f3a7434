//! Ctrl-C, and the signal of who runs commands: both end what would go on for ever.

use tokio::signal::unix::{SignalKind, signal};

/// Ends with SIGINT or SIGTERM.
pub(crate) async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
        // Then the signals have their usual effect, and end the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
