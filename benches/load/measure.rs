//! What the kernel says about a process, and how durations are summed up.

use std::fs;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::Outcome;

/// The longest duration that a histogram tells apart.
const MAX_NANOS: u64 = 120_000_000_000;

/// What a process has used so far, over all its threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    at: Instant,
    cpu: Duration,
    waited: Duration,
    voluntary: u64,
    involuntary: u64,
}

/// What a process used in between.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Used {
    /// Time on a CPU.
    pub(crate) cpu_seconds: f64,
    /// The same as a share of the time that passed; 1 is one core.
    pub(crate) cpu_share: f64,
    /// Time it could have run but somebody else had the core, as a share of the same.
    pub(crate) waited_share: f64,
    /// Times it had nothing to do.
    pub(crate) voluntary_switches: u64,
    /// Times the kernel preferred somebody else.
    pub(crate) involuntary_switches: u64,
}

impl Usage {
    /// Reads `/proc/PID/task/*/{schedstat,status}`. The kernel brings the time of a running thread up to date with its
    /// clock tick, so that short measurements are off by some milliseconds.
    pub(crate) fn of(pid: u32) -> Outcome<Self> {
        let (cpu, waited) = (Duration::ZERO, Duration::ZERO);
        let mut usage = Self { at: Instant::now(), cpu, waited, voluntary: 0, involuntary: 0 };
        let tasks = format!("/proc/{pid}/task");
        let entries = fs::read_dir(&tasks).map_err(|error| format!("{tasks}: {error}"))?;
        for task in entries {
            let task = task?.path();
            let schedstat = fs::read_to_string(task.join("schedstat"))?;
            let mut nanos =
                schedstat.split_whitespace().map_while(|nanos| nanos.parse().ok().map(Duration::from_nanos));
            usage.cpu += nanos.next().ok_or("schedstat begins with the time on a CPU")?;
            usage.waited += nanos.next().ok_or("schedstat goes on with the time in the run queue")?;
            let status = fs::read_to_string(task.join("status"))?;
            usage.voluntary += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
            usage.involuntary += field(&status, "nonvoluntary_ctxt_switches:").unwrap_or(0);
        }
        Ok(usage)
    }

    /// What was used between `before` and this reading.
    pub(crate) fn since(&self, before: &Self) -> Used {
        let cpu_seconds = (self.cpu - before.cpu).as_secs_f64();
        let seconds = (self.at - before.at).as_secs_f64();
        Used {
            cpu_seconds,
            cpu_share: cpu_seconds / seconds,
            waited_share: (self.waited - before.waited).as_secs_f64() / seconds,
            voluntary_switches: self.voluntary - before.voluntary,
            involuntary_switches: self.involuntary - before.involuntary,
        }
    }
}

/// Resident bytes of a process, counted page by page by the kernel.
pub(crate) fn resident_bytes(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    field(&rollup, "Rss:").map(|kilobytes| kilobytes * 1024).ok_or_else(|| format!("{path} has no Rss").into())
}

/// The same as the kernel remembers it: nearly right, and read without a look at every page.
pub(crate) fn resident_roughly(pid: u32) -> Outcome<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    field(&status, "VmRSS:").map(|kilobytes| kilobytes * 1024).ok_or_else(|| format!("{path} has no VmRSS").into())
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// A histogram of nanoseconds with three significant digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_NANOS, 3).expect("the bounds are in order and three digits are allowed")
}

/// Adds a duration; one beyond the bounds counts as the longest.
pub(crate) fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(MAX_NANOS);
    histogram.saturating_record(nanos);
}

/// Percentiles in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

impl Percentiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percentile| histogram.value_at_percentile(percentile) as f64 / 1000.0;
        Self { p50: at(50.0), p90: at(90.0), p99: at(99.0), p99_9: at(99.9), max: histogram.max() as f64 / 1000.0 }
    }
}
