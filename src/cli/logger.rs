//! Where log lines go: standard error, ours only, as verbose as asked. Layer 3, beside `main`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use simple_logger::SimpleLogger;

use crate::config::LIFE;

/// Starts logging for the rest of the process. `verbose` as [`Config::verbose`](crate::config::Config::verbose).
///
/// # Errors
/// Logging was started before.
pub fn start_logging(verbose: u8) -> Result<(), SetLoggerError> {
    let logger = logger(verbose);
    log::set_max_level(logger.max_level());
    log::set_boxed_logger(Box::new(Unbreakable(logger)))
}

fn logger(verbose: u8) -> SimpleLogger {
    let (level, life) = match verbose {
        0 => (LevelFilter::Warn, LevelFilter::Info),
        1 => (LevelFilter::Info, LevelFilter::Info),
        _ => (LevelFilter::Debug, LevelFilter::Debug),
    };
    // The longer name counts; every module's path begins with it.
    let modules = format!("{LIFE}::");
    // Libraries tell us by their results what matters; their own lines would be about frames and sockets.
    SimpleLogger::new().with_level(LevelFilter::Off).with_module_level(&modules, level).with_module_level(LIFE, life)
}

/// A logger whose reader may go away: `simple_logger` prints with `eprintln!`, which panics on a closed pipe, and a lost
/// log must not end a server.
struct Unbreakable(SimpleLogger);

impl Log for Unbreakable {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.0.enabled(record.metadata()) {
            // The panic has nothing of ours half done: the line was made before it was printed.
            let _ = catch_unwind(AssertUnwindSafe(|| self.0.log(record)));
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    #[test]
    fn levels() {
        for (verbose, target, most) in [
            (0, module_path!(), Some(Level::Warn)),
            (1, module_path!(), Some(Level::Info)),
            (2, module_path!(), Some(Level::Debug)),
            (0, LIFE, Some(Level::Info)),
            (1, LIFE, Some(Level::Info)),
            (2, LIFE, Some(Level::Debug)),
            (2, "mio::poll", None),
            (2, "tungstenite::protocol", None),
        ] {
            let enabled = |level| logger(verbose).enabled(&Metadata::builder().target(target).level(level).build());
            assert_eq!(Level::iter().filter(|level| enabled(*level)).max(), most, "{verbose} {target}");
        }
    }
}
