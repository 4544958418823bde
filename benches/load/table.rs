//! The table of costs: every row on the references and on the server, one after the other and round after round.
//!
//! Figures are medians over the rounds. A ratio is the median of the ratios that each round gave, as the servers of one
//! round met the same machine; the range of those ratios stands behind it.

use std::fs;
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::Outcome;
use crate::connect::Connects;
use crate::dialect::Dialect;
use crate::load::Plan;
use crate::measure::{Usage, resident_bytes};
use crate::payload::Content;
use crate::report::{DISTURBED, Report, Run};
use crate::rows::{Goal, Row, Work, rows, tls_rows};
use crate::target::{Pinning, Program, Server, Url};

/// Messages that touch all of a server's buffers before its memory is read.
const TOUCHING_BYTES: usize = 64 * 1024;

/// What a server may take from announcing itself to being at rest.
const SETTLING: Duration = Duration::from_millis(300);

/// What a smoke test spends on a row.
const SMOKE_SECONDS: f64 = 0.05;

/// How the table is made.
#[derive(Args, Clone, Debug)]
pub(crate) struct TableArgs {
    /// Only rows whose name contains this
    #[arg(long, value_name = "TEXT")]
    rows: Option<String>,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 2.0, value_parser = crate::seconds)]
    seconds: f64,
    /// How often everything is measured
    #[arg(long, default_value_t = 3, value_parser = crate::at_least_one)]
    rounds: usize,
    /// Which servers, as --server names them
    #[arg(long, value_delimiter = ',', default_value = "raw,bare,jackfield")]
    servers: Vec<Program>,
    /// What TLS costs, beside the plain server, instead of what the plain server costs
    #[arg(long)]
    tls: bool,
    /// A moment of every row with few connections: only whether everything arrives
    #[arg(long)]
    smoke: bool,
}

/// The figures of one row: by line, by server, by round. A server that the row leaves out has no rounds.
type Figures = Vec<Vec<Vec<f64>>>;

impl TableArgs {
    /// What `cargo test --benches` runs.
    pub(crate) fn smoke() -> Self {
        let servers = vec![Program::Raw, Program::Bare, Program::Jackfield];
        Self { rows: None, seconds: SMOKE_SECONDS, rounds: 1, servers, tls: false, smoke: true }
    }

    /// Measures and prints row by row.
    pub(crate) fn run(&self) -> Outcome<()> {
        let mut args =
            if self.smoke { Self { seconds: SMOKE_SECONDS, rounds: 1, ..self.clone() } } else { self.clone() };
        if self.tls {
            args.servers = vec![Program::Jackfield, Program::Secure];
        }
        let pinning = Pinning::Apart.apply();
        let mut bench = Bench { args, pinning, disturbed: Vec::new(), missed: Vec::new(), stalled: Vec::new() };
        let wanted = self.rows.as_deref().unwrap_or_default();
        let all = if self.tls { tls_rows(self.smoke) } else { rows(self.smoke) };
        let rows: Vec<Row> = all.into_iter().filter(|row| row.name.contains(wanted)).collect();
        if rows.is_empty() {
            return Err(format!("no row has {wanted:?} in its name").into());
        }
        bench.print_head();
        for row in &rows {
            let figures = bench.row(row).map_err(|error| format!("{}: {error}", row.name))?;
            bench.print(row, &figures);
        }
        bench.print_foot();
        Ok(())
    }
}

struct Bench {
    args: TableArgs,
    pinning: Pinning,
    /// Rows during which something else used the cores.
    disturbed: Vec<&'static str>,
    /// Rows whose rate the generator could not hold.
    missed: Vec<&'static str>,
    /// Measurements in which the server did nothing; their rounds do not count.
    stalled: Vec<String>,
}

impl Bench {
    fn row(&mut self, row: &Row) -> Outcome<Figures> {
        let servers = self.args.servers.clone();
        let mut figures = vec![vec![Vec::new(); servers.len()]; row.lines.len()];
        for _ in 0..self.args.rounds {
            for (column, program) in servers.iter().enumerate() {
                if *program == Program::Raw && !row.work.suits_raw() {
                    continue;
                }
                let measured = self.measure(row, program).map_err(|error| format!("{program}: {error}"))?;
                for (line, figure) in measured.into_iter().enumerate() {
                    figures[line][column].push(figure);
                }
            }
        }
        Ok(figures)
    }

    /// One figure for each line of the row.
    fn measure(&mut self, row: &Row, program: &Program) -> Outcome<Vec<f64>> {
        let is_fanout = matches!(row.work, Work::FanOut { .. });
        let echo = if matches!(row.work, Work::Bridge { .. }) { Some(Server::echo()?) } else { None };
        let target = echo.as_ref().map(|echo| echo.url.address);
        let arguments = target.map_or_else(Vec::new, |target| program.bridge_arguments(target));
        let server = Server::start(program, &arguments, is_fanout, self.pinning)?;
        let run = Run { seconds: self.args.seconds, pid: Some(server.pid()) };
        let plan = Plan {
            url: Url { target, ..server.url.clone() },
            dialect: program.dialect(),
            groups: 1,
            members: 2,
            content: Content::Binary,
            size: 125,
            window: 1,
            rate: None,
            ramp: None,
            idle: 0,
            spin: false,
        };
        match row.work {
            Work::Relay { content, size, window } => {
                self.cpu(row, program, run.load(&Plan { content, size, window, ..plan })?)
            }
            Work::FanOut { members } => self.cpu(row, program, run.load(&Plan { members, ..plan })?),
            Work::Webshare { window } => {
                let plan = Plan { window, content: Content::Ascii, ..plan };
                self.cpu(row, program, run.load(&enveloped(program, Dialect::Webshare, plan)?)?)
            }
            Work::Pocket { members } => {
                let plan = Plan { members, content: Content::Ascii, ..plan };
                self.cpu(row, program, run.load(&enveloped(program, Dialect::Pocket, plan)?)?)
            }
            Work::Socketio { window } => {
                let plan = Plan { window, content: Content::Ascii, ..plan };
                self.cpu(row, program, run.load(&enveloped(program, Dialect::Socketio, plan)?)?)
            }
            Work::Bridge { dialect, content, size, window } => {
                let dialect = match program {
                    Program::Raw => Dialect::Raw,
                    Program::Bare if dialect == Dialect::Ws2s => Dialect::TcpReceipt,
                    _ => dialect,
                };
                self.cpu(row, program, run.load(&Plan { dialect, members: 1, content, size, window, ..plan })?)
            }
            Work::Connect { slots, says_goodbye } => {
                let mut connects = Connects::open(plan.url, plan.dialect, slots, says_goodbye)?;
                self.cpu(row, program, run.connects(&mut connects)?)
            }
            Work::Rate { pairs, rate } => {
                let report = run.load(&Plan { groups: pairs, rate: Some(rate), ..plan })?;
                self.note(row, &report);
                Ok(vec![report.latency.p50, report.latency.p99])
            }
            Work::Crowd { pairs, rate, idle } => {
                let alone = Plan { groups: pairs, rate: Some(rate), ..plan };
                let before = run.load(&alone)?;
                let beside = run.load(&Plan { idle, ..alone })?;
                self.note(row, &beside);
                Ok(vec![beside.latency.p99, beside.latency.p99 / before.latency.p99])
            }
            Work::Memory { connections } => {
                run.load(&Plan { size: TOUCHING_BYTES, window: 4, ..plan.clone() })?;
                let report = run.load(&Plan { groups: connections / 2, ..plan })?;
                let server = report.server.ok_or("its process is known")?;
                let each = |bytes: u64| (bytes as f64 - server.resident_before as f64) / connections as f64;
                Ok(vec![each(server.resident_open), each(server.resident_after)])
            }
            Work::Empty => {
                thread::sleep(SETTLING);
                let before = Usage::of(server.pid())?;
                thread::sleep(Duration::from_secs_f64(self.args.seconds));
                let used = Usage::of(server.pid())?.since(&before);
                let wake_ups = used.voluntary_switches + used.involuntary_switches;
                let resident = resident_bytes(server.pid())? as f64 / 1e6;
                // The references are in this binary, whose size says nothing.
                let is_reference = matches!(program, Program::Raw | Program::Bare);
                let binary = if is_reference { f64::NAN } else { fs::metadata(program.path()?)?.len() as f64 / 1e6 };
                Ok(vec![resident, wake_ups as f64, binary])
            }
        }
    }

    fn cpu(&mut self, row: &Row, program: &Program, report: Report) -> Outcome<Vec<f64>> {
        self.note(row, &report);
        let figure = report.server.ok_or("its process is known")?.cpu_us_per_message;
        if figure > 0.0 {
            return Ok(vec![figure]);
        }
        self.stalled.push(format!("{} on {program} ({} delivered)", row.name, report.delivered));
        Ok(vec![f64::NAN])
    }

    fn note(&mut self, row: &Row, report: &Report) {
        if report.waited() > DISTURBED {
            self.disturbed.push(row.name);
        }
        if report.missed_rate {
            self.missed.push(row.name);
        }
    }

    fn print_head(&self) {
        let names: Vec<String> = self.args.servers.iter().map(Program::to_string).collect();
        let yardstick = if self.args.tls { Program::Jackfield } else { Program::Bare };
        println!("| measurement | {} | ÷ {yardstick} | goal | |", names.join(" | "));
        println!("|---|{}---|---|---|", "--:|".repeat(names.len()));
    }

    fn print(&self, row: &Row, figures: &Figures) {
        let column_of = |wanted: &Program| self.args.servers.iter().position(|program| program == wanted);
        let is_ours = |program: &Program| match program {
            Program::Raw | Program::Bare => false,
            Program::Jackfield => !self.args.tls,
            _ => true,
        };
        let ours = self.args.servers.iter().position(is_ours);
        for (line, figures) in row.lines.iter().zip(figures) {
            let cells: Vec<String> = figures.iter().map(|rounds| median(rounds).map_or("–".into(), figure)).collect();
            let is_to_raw = matches!(line.goal, Goal::RatioToRaw(_));
            let yardstick = match is_to_raw {
                true => Program::Raw,
                false if self.args.tls => Program::Jackfield,
                false => Program::Bare,
            };
            let mut ratios: Vec<f64> = match (ours, column_of(&yardstick)) {
                (Some(ours), Some(reference)) if line.is_compared => {
                    figures[ours].iter().zip(&figures[reference]).map(|(ours, reference)| ours / reference).collect()
                }
                _ => Vec::new(),
            };
            ratios.retain(|ratio| ratio.is_finite());
            ratios.sort_by(f64::total_cmp);
            let ratio = median(&ratios);
            let shown = match (ratio, &ratios[..]) {
                (Some(ratio), [least, .., most]) => format!("{ratio:.2} ({least:.2}–{most:.2})"),
                (Some(ratio), _) => format!("{ratio:.2}"),
                (None, _) => String::new(),
            };
            let shown = if is_to_raw && ratio.is_some() { format!("{shown} of raw") } else { shown };
            let judged = match line.goal {
                Goal::Ratio(goal) | Goal::RatioToRaw(goal) => ratio.map(|ratio| ratio <= goal),
                Goal::AtMost(goal) => ours.and_then(|ours| median(&figures[ours])).map(|figure| figure <= goal),
                Goal::None => None,
            };
            let judged = judged.filter(|_| !self.args.smoke).map_or("", |is_met| if is_met { "met" } else { "missed" });
            println!("| {}{} | {} | {shown} | {} | {judged} |", row.name, line.name, cells.join(" | "), line.goal);
        }
    }

    fn print_foot(&self) {
        let Self { args, disturbed, missed, stalled, .. } = self;
        println!();
        if args.smoke {
            println!("Everything arrived. A smoke test measures nothing: the figures above mean nothing.");
            return;
        }
        println!("Medians of {} rounds of {} s each.", args.rounds, args.seconds);
        match self.pinning {
            Pinning::Apart => println!("The server had core 0, the generator core 1."),
            Pinning::None => println!("Server and generator shared the cores: no second core, or no `taskset`."),
        }
        if !stalled.is_empty() {
            println!("The server did nothing for a whole measurement, which does not count: {}.", stalled.join("; "));
        }
        for (rows, what) in [(disturbed, "Something else used the cores"), (missed, "The intended rate was missed")] {
            let mut rows = rows.clone();
            rows.dedup();
            if !rows.is_empty() {
                println!("{what} during: {}.", rows.join("; "));
            }
        }
    }
}

/// The plan in this dialect; on the reference, messages as long, with receipts where it has some.
fn enveloped(program: &Program, dialect: Dialect, plan: Plan) -> Outcome<Plan> {
    if *program != Program::Bare {
        return Ok(Plan { dialect, ..plan });
    }
    let size = dialect.message_bytes(plan.size)?;
    let dialect = if dialect.receipts() > 0 { Dialect::Receipt } else { plan.dialect };
    Ok(Plan { dialect, size, ..plan })
}

fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = figures.iter().copied().filter(|figure| !figure.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        len if len % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// Three significant digits, and no fraction where it would say nothing.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size.is_nan() => "–".to_owned(),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
