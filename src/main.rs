//! The program: reads what it is to do, serves, and says with its exit code how it went.
//!
//! 0: served and drained, or printed what was asked for. 1: it could not serve, with one line that says why. 2: command
//! line, environment or file are wrong.

use std::io::{self, Write};
use std::process::ExitCode;

use jackfield::cli::{self, Order};
use jackfield::config::Config;
use jackfield::server::Server;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os(), std::env::vars_os()) {
        Ok(Order::Serve(config)) => serve(*config),
        Ok(Order::Fail(text)) => fail(1, &text),
        Ok(Order::Print(text)) => match print(&text) {
            Ok(()) => ExitCode::SUCCESS,
            // Who reads no further (`| head`) has what they wanted.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("error: cannot print: {error}")),
        },
        #[cfg(feature = "tls")]
        Ok(Order::Certificate(wish)) => match wish.make() {
            // It is made, whether or not anybody reads so.
            Ok(text) => print(&text).map_or(ExitCode::SUCCESS, |()| ExitCode::SUCCESS),
            Err(error) => fail(1, &format!("error: {error}")),
        },
        Err(error) => fail(2, &error.to_string()),
    }
}

fn serve(config: Config) -> ExitCode {
    if let Err(error) = cli::start_logging(config.verbose) {
        return fail(1, &format!("error: {error}"));
    }
    let mut server = match Server::bind(config.clone()) {
        Ok(server) => server,
        Err(error) => return fail(1, &format!("error: {error}")),
    };
    if let Err(error) = server.watch_signals() {
        return fail(1, &format!("error: cannot watch signals: {error}"));
    }
    // Whoever closed standard output does not want to read it.
    let _ = print(&cli::banner(&config, &server.addresses(), &server.admin_addresses()));
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &format!("error: the loop failed: {error}")),
    }
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn fail(code: u8, message: &str) -> ExitCode {
    // There is nobody left to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "{message}");
    ExitCode::from(code)
}
