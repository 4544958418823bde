//! One measurement from start to end, and what is said about it.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::Outcome;
use crate::connect::Connects;
use crate::load::{Load, Plan, Tally};
use crate::measure::{Percentiles, Usage, Used, resident_bytes};

/// A side that used its core this much had nothing left.
const SATURATED: f64 = 0.95;

/// A server below this had something left.
const UNSATURATED: f64 = 0.90;

/// A process that waited this much for its core was not alone on it.
pub(crate) const DISTURBED: f64 = 0.05;

/// A message that left this long after it was due was not sent at the intended rate.
const LATE: Duration = Duration::from_millis(1);

/// The part of a measurement that comes before it, so that buffers have grown and pages are there.
const WARM_UP: f64 = 0.2;

/// How long to measure, and whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    /// The server's process, when it is on this machine and known.
    pub(crate) pid: Option<u32>,
}

/// A measurement. Durations are in microseconds where they do not say otherwise.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seconds: f64,
    /// Messages that reached a receiver and were right; for `--connect`, handshakes.
    pub(crate) delivered: u64,
    pub(crate) per_second: f64,
    pub(crate) megabytes_per_second: f64,
    pub(crate) latency: Percentiles,
    pub(crate) server: Option<ServerReport>,
    pub(crate) generator: Used,
    /// The generator did not send when it should have.
    pub(crate) missed_rate: bool,
    pub(crate) verdict: &'static str,
}

/// The server's side of a measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct ServerReport {
    pub(crate) cpu_us_per_message: f64,
    #[serde(flatten)]
    pub(crate) used: Used,
    /// Before the first connection of the load.
    pub(crate) resident_before: u64,
    /// With everybody connected.
    pub(crate) resident_open: u64,
    /// With everybody still connected, after the traffic.
    pub(crate) resident_after: u64,
    pub(crate) connections: usize,
}

impl Report {
    /// The larger share of the time that one of the two sides waited for its core.
    pub(crate) fn waited(&self) -> f64 {
        self.server.map_or(0.0, |server| server.used.waited_share).max(self.generator.waited_share)
    }
}

impl Run {
    /// Connects, warms up, measures, waits for the rest.
    pub(crate) fn load(self, plan: &Plan) -> Outcome<Report> {
        let connections = plan.groups * plan.members + plan.idle;
        let before = self.resident()?;
        let mut load = Load::open(plan.clone())?;
        let open = self.resident()?;
        load.run(Duration::from_secs_f64(self.seconds * WARM_UP))?;
        let (mut tally, server, generator) = self.used(|| load.run(Duration::from_secs_f64(self.seconds)))?;
        load.finish(&mut tally)?;
        let after = self.resident()?;
        let seconds = tally.elapsed.as_secs_f64();
        Ok(Report {
            seconds,
            delivered: tally.delivered,
            per_second: tally.delivered as f64 / seconds,
            megabytes_per_second: (tally.delivered * plan.size as u64) as f64 / seconds / 1e6,
            latency: Percentiles::of(&tally.latency),
            server: server.map(|used| ServerReport {
                cpu_us_per_message: per_unit(used, tally.delivered),
                used,
                resident_before: before,
                resident_open: open,
                resident_after: after,
                connections,
            }),
            generator,
            missed_rate: missed_rate(plan, &tally),
            verdict: verdict(plan, &tally, server, generator),
        })
    }

    /// The same for connecting over and over.
    pub(crate) fn connects(self, connects: &mut Connects) -> Outcome<Report> {
        let before = self.resident()?;
        connects.run(Duration::from_secs_f64(self.seconds * WARM_UP))?;
        let open = self.resident()?;
        let (tally, server, generator) = self.used(|| connects.run(Duration::from_secs_f64(self.seconds)))?;
        let seconds = tally.elapsed.as_secs_f64();
        Ok(Report {
            seconds,
            delivered: tally.completed,
            per_second: tally.completed as f64 / seconds,
            megabytes_per_second: 0.0,
            latency: Percentiles::of(&tally.latency),
            server: server
                .map(|used| -> Outcome<_> {
                    Ok(ServerReport {
                        cpu_us_per_message: per_unit(used, tally.completed),
                        used,
                        resident_before: before,
                        resident_open: open,
                        resident_after: self.resident()?,
                        connections: 0,
                    })
                })
                .transpose()?,
            generator,
            missed_rate: false,
            verdict: saturation(server, generator),
        })
    }

    fn used<T>(self, work: impl FnOnce() -> Outcome<T>) -> Outcome<(T, Option<Used>, Used)> {
        let own = std::process::id();
        let server = self.pid.map(Usage::of).transpose()?;
        let generator = Usage::of(own)?;
        let done = work()?;
        let generator = Usage::of(own)?.since(&generator);
        let server = match (self.pid, server) {
            (Some(pid), Some(before)) => Some(Usage::of(pid)?.since(&before)),
            _ => None,
        };
        Ok((done, server, generator))
    }

    fn resident(self) -> Outcome<u64> {
        self.pid.map_or(Ok(0), resident_bytes)
    }
}

fn per_unit(used: Used, units: u64) -> f64 {
    used.cpu_seconds * 1e6 / units.max(1) as f64
}

fn missed_rate(plan: &Plan, tally: &Tally) -> bool {
    let late = Duration::from_nanos(tally.lateness.value_at_percentile(99.0));
    plan.rate.is_some_and(|rate| late > LATE || (tally.sent as f64) < 0.99 * rate * tally.elapsed.as_secs_f64())
}

fn verdict(plan: &Plan, tally: &Tally, server: Option<Used>, generator: Used) -> &'static str {
    let receivers = (plan.members as u64 - 1).max(1);
    if plan.rate.is_none() {
        saturation(server, generator)
    } else if missed_rate(plan, tally) {
        "the generator missed the intended rate"
    } else if (tally.delivered as f64) < 0.99 * (tally.sent * receivers) as f64 {
        "the server fell behind the rate"
    } else {
        "the rate was held"
    }
}

fn saturation(server: Option<Used>, generator: Used) -> &'static str {
    match server.map(|used| used.cpu_share) {
        Some(share) if share >= SATURATED => "the server was saturated",
        Some(share) if generator.cpu_share >= SATURATED && share < UNSATURATED => {
            "the generator was saturated, not the server"
        }
        None if generator.cpu_share >= SATURATED => "the generator was saturated",
        _ => "nobody was saturated: bound by round trips",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, delivered, per_second, megabytes_per_second, latency, generator, verdict, .. } = self;
        writeln!(f, "  {delivered} in {seconds:.2} s: {per_second:.0}/s, {megabytes_per_second:.1} MB/s")?;
        let Percentiles { p50, p90, p99, p99_9, max } = latency;
        writeln!(f, "  latency µs: p50 {p50:.1}  p90 {p90:.1}  p99 {p99:.1}  p99.9 {p99_9:.1}  max {max:.1}")?;
        if let Some(server) = &self.server {
            let ServerReport { cpu_us_per_message, used, resident_before, resident_open, resident_after, connections } =
                server;
            writeln!(
                f,
                "  server: {cpu_us_per_message:.3} µs CPU each, {:.0} % of a core, {} voluntary and {} involuntary switches",
                used.cpu_share * 100.0,
                used.voluntary_switches,
                used.involuntary_switches
            )?;
            write!(f, "  resident: {} KiB before, {} KiB after", resident_before / 1024, resident_after / 1024)?;
            if *connections > 0 {
                let each = |bytes: u64| (bytes as f64 - *resident_before as f64) / *connections as f64;
                write!(
                    f,
                    "; {connections} connections at {:.0} B each, {:.0} B after the traffic",
                    each(*resident_open),
                    each(*resident_after)
                )?;
            }
            writeln!(f)?;
        }
        writeln!(f, "  generator: {:.0} % of a core; {verdict}", generator.cpu_share * 100.0)?;
        if self.waited() > DISTURBED {
            writeln!(
                f,
                "  the machine was not quiet: {:.0} % of the time was spent waiting for a core",
                self.waited() * 100.0
            )?;
        }
        Ok(())
    }
}
