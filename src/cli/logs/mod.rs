//! `modelyard logs`: what all pods of a ModelDeployment say, whichever revision they are of.

use std::io::{self, Write};
use std::process::ExitCode;

use futures_util::{AsyncBufRead, AsyncBufReadExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, LogParams};
use modelyard_core::render::{CONTAINER, DEPLOYMENT_LABEL};

use super::cluster::{Access, Cluster, Readiness, parse_name};
use super::number::whole;
use super::served::runtime;

mod live;

/// Show the logs of all pods of a ModelDeployment, each line after its pod's name
///
/// With --follow pods that are started later join in, and so do restarted ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    /// The ModelDeployment
    #[arg(value_parser = parse_name)]
    name: String,

    #[command(flatten)]
    access: Access,

    /// Go on with new lines and new pods, until Ctrl-C
    #[arg(long, short)]
    follow: bool,

    /// The last lines of each pod, instead of all
    #[arg(long, value_name = "LINES", value_parser = whole(0..=i64::MAX))]
    tail: Option<i64>,

    /// The logs of the servers that ended before these: why a pod restarts
    #[arg(long, short, conflicts_with = "follow")]
    previous: bool,
}

const EXAMPLES: &str = "\
Examples:
  modelyard logs mnist --tail 20
  modelyard logs mnist --follow
  modelyard logs mnist --previous

Exit codes: 0 shown; 1 the cluster cannot be asked, or there is no such ModelDeployment; 2 wrong arguments.";

impl Arguments {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user should read.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        runtime()?.block_on(async {
            let cluster = self.access.open().await?;
            let object = cluster.find(&self.name).await?;
            if self.follow {
                return live::follow(&self, &cluster).await;
            }
            let pods = self.pods(&cluster).await?;
            if pods.is_empty() {
                super::say(format_args!("{} has no pods: {}", self.name, Readiness::of(&object, "Ready").message));
            }
            for pod in pods {
                if !self.show(&cluster, &pod).await? {
                    break;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
    }

    fn selector(&self) -> String {
        format!("{DEPLOYMENT_LABEL}={}", self.name)
    }

    /// What to ask of one container.
    fn parameters(&self) -> LogParams {
        LogParams {
            container: Some(CONTAINER.to_owned()),
            follow: self.follow,
            tail_lines: self.tail,
            previous: self.previous,
            ..LogParams::default()
        }
    }

    /// The names of its pods, the oldest first.
    async fn pods(&self, cluster: &Cluster) -> anyhow::Result<Vec<String>> {
        let listed = cluster.api::<Pod>().list(&ListParams::default().labels(&self.selector())).await;
        let mut pods = listed.map_err(|error| cluster.failed("list pods", error))?.items;
        pods.sort_by(|left, right| left.metadata.creation_timestamp.cmp(&right.metadata.creation_timestamp));
        Ok(pods.into_iter().filter_map(|pod| pod.metadata.name).collect())
    }

    /// Prints what one pod has said; false when the reader went away. A pod that has said nothing yet is no failure.
    async fn show(&self, cluster: &Cluster, pod: &str) -> anyhow::Result<bool> {
        match cluster.api::<Pod>().log_stream(pod, &self.parameters()).await {
            Ok(mut log) => {
                while let Some(line) = next_line(&mut log).await? {
                    if !print(pod, &line)? {
                        return Ok(false);
                    }
                }
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 404) => {
                super::say(format_args!("note: {pod} has no such log: {}", status.message));
            }
            Err(error) => return Err(cluster.failed(&format!("read the log of {pod}"), error).into()),
        }
        Ok(true)
    }
}

/// The next line without its end; none at the end.
async fn next_line(log: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if log.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
        line.pop();
    }
    Ok(Some(line))
}

/// One line after its pod's name, in one write so that lines never mix; false when the reader went away.
fn print(pod: &str, line: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let whole = [pod.as_bytes(), b" | ", line, b"\n"].concat();
    match out.write_all(&whole).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_end_where_they_end() {
        let mut log = futures_util::io::Cursor::new(b"one\r\n\ntwo\xff\nlast".to_vec());
        let mut lines = Vec::new();
        while let Some(line) = next_line(&mut log).await.unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, [&b"one"[..], b"", b"two\xff", b"last"]);
    }
}
