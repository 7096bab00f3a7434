//! What a child may use of the machine.

use std::io;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::verdict::Allowance;
use super::{BRIEF, MOST_MODELS};
use crate::load::NICENESS;

/// The bounds that there were when this process started, which none of its own may exceed.
pub(super) struct Bounds {
    cpu: Option<u64>,
    data: Option<u64>,
}

impl Bounds {
    /// Those that there are now.
    pub(super) fn before() -> Self {
        Self { cpu: getrlimit(Resource::Cpu).current, data: getrlimit(Resource::Data).current }
    }

    /// Bounds this process for good: no core file, no file written. It ends with its parent, and is the first that the kernel ends
    /// where memory runs out.
    pub(super) fn set(&self) -> io::Result<()> {
        bound(Resource::Core, 0, 0)?;
        bound(Resource::Fsize, 0, 0)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        std::fs::write("/proc/self/oom_score_adj", "1000")?;
        rustix::process::nice(NICENESS)?;
        Ok(())
    }

    /// Bounds the next model: its processor time, which is counted from now, and private memory.
    ///
    /// Past the soft bound on time comes SIGXCPU, which tells why; the hard one, SIGKILL, is never raised, so it has room for all models
    /// that may follow.
    pub(super) fn allow(&self, Allowance { seconds, bytes }: Allowance) -> io::Result<()> {
        let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
        let least = |new: u64, before: Option<u64>| before.map_or(new, |before| before.min(new));
        let most = seconds + 1 + MOST_MODELS * BRIEF.as_secs();
        bound(Resource::Cpu, least(used + seconds, self.cpu), most)?;
        bound(Resource::Data, least(bytes, self.data), bytes)
    }
}

/// A soft bound within a hard one, which is not raised.
fn bound(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let hard = getrlimit(resource).maximum.map_or(hard, |now| now.min(hard));
    Ok(setrlimit(resource, Rlimit { current: Some(soft.min(hard)), maximum: Some(hard) })?)
}
