//! What a child may use of the machine.

use std::io;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};

use crate::load::NICENESS;

/// Bounds this process: processor time, private memory, no core file, no file written. It ends with its parent, and is the first
/// that the kernel ends where memory runs out.
pub(super) fn set(seconds: u64, bytes: u64) -> io::Result<()> {
    // Past the soft bound SIGXCPU, which tells why; past the hard one SIGKILL.
    lower(Resource::Cpu, seconds, seconds + 1)?;
    lower(Resource::Data, bytes, bytes)?;
    lower(Resource::Core, 0, 0)?;
    lower(Resource::Fsize, 0, 0)?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    std::fs::write("/proc/self/oom_score_adj", "1000")?;
    rustix::process::nice(NICENESS)?;
    Ok(())
}

/// No more than this, nor than there is already: a bound may only be lowered.
fn lower(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let now = getrlimit(resource);
    let least = |new: u64, old: Option<u64>| Some(old.map_or(new, |old| old.min(new)));
    Ok(setrlimit(resource, Rlimit { current: least(soft, now.current), maximum: least(hard, now.maximum) })?)
}
