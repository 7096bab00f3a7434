//! An operator that runs as a process beside the cluster, where its surroundings can be bent.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use super::proxy::Proxy;

/// An operator outside of the cluster; it ends when this is dropped.
pub(crate) struct Outside(Child);

impl Outside {
    /// Starts one that finds the API server by this kubeconfig, and that leads by the Lease of `namespace` or alone.
    pub(crate) fn start(kubeconfig: &Path, log: &Path, namespace: Option<&str>) -> Self {
        Self::start_with(kubeconfig, log, namespace, |_| {})
    }

    /// The same, after `more` was done to its command.
    pub(crate) fn start_with(kubeconfig: &Path, log: &Path, namespace: Option<&str>, more: impl FnOnce(&mut Command)) -> Self {
        let log = File::create(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_modelyard"));
        command.args(["controller", "--health-address", "127.0.0.1:0", "--server-image"]);
        command.arg(concat!("modelyard-server:", env!("CARGO_PKG_VERSION")));
        command.env("KUBECONFIG", kubeconfig).env("MODELYARD_LOG_FORMAT", "text");
        match namespace {
            Some(namespace) => command.env("POD_NAMESPACE", namespace).env("POD_NAME", "outside"),
            None => command.env_remove("POD_NAMESPACE"),
        };
        more(&mut command);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap())
    }

    /// Whether it runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Its memory, bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Err(error) = self.0.kill().and_then(|()| self.0.wait()) {
            println!("the operator outside: {error}");
        }
    }
}

/// A kubeconfig of a server without TLS.
pub(crate) fn kubeconfig(proxy: &Proxy, path: &Path) {
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "proxy",
        "clusters": [{ "name": "proxy", "cluster": { "server": format!("http://{}", proxy.address) } }],
        "contexts": [{ "name": "proxy", "context": { "cluster": "proxy", "user": "proxy" } }],
        "users": [{ "name": "proxy", "user": {} }],
    });
    std::fs::write(path, config.to_string()).unwrap();
}
