//! `jackfield token make` and `jackfield token check`. Layer 3, beside `main`.
//!
//! Both read one key file. A token to be checked may come from standard input, as a command line is for everybody on the
//! machine to see; a key never stands there.

use std::fs;
use std::io::Read;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::access::{key, written};
use super::units::Unit;
use super::{Order, UsageError};
use crate::access::{
    self, BadKey, Grant, KeyName, KeyRing, MAX_TOKEN_BYTES, Pattern, Rights, SigningKey, TargetPattern,
};
use crate::config::TokenKey;

/// Lists of a token's capabilities: flag, placeholder, meaning.
const LISTS: [(&str, &str, &str); 4] = [
    ("publish", "PATTERN", "Names to speak on: /local/demo, /pocket/ROOM, /network/*, or * for all"),
    ("subscribe", "PATTERN", "Names to listen on"),
    ("device", "PATTERN", "Ids to be found under over Socket.IO"),
    ("tcp", "TARGET", "Targets to reach: NAME, HOST:PORT, *.DOMAIN:PORT, *:PORT, or * for all"),
];

/// The subcommand.
pub(super) fn command() -> Command {
    let key =
        |help: &'static str| Arg::new("key").long("key").value_name("[KID[@ISSUER]=]FILE").required(true).help(help);
    let lists = LISTS.map(|(name, placeholder, help)| {
        Arg::new(name).long(name).value_name(placeholder).action(ArgAction::Append).help(format!("{help} [repeatable]"))
    });
    let switch = |name: &'static str, help| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let text = |name: &'static str, placeholder, help| Arg::new(name).long(name).value_name(placeholder).help(help);
    let make = Command::new("make")
        .about("Makes a token and prints it; what is not named is not permitted")
        .arg(key("The secret, or the private Ed25519 key (openssl genpkey -algorithm ed25519)"))
        .arg(text("expires", "TIME", "How long it is good for").default_value("1h"))
        .arg(text("subject", "NAME", "Whose it is: a device's id is kept for whoever came with it"))
        .arg(text("id", "ID", "What it is revoked by; without one it gets one by chance"))
        .arg(switch("pair", "WebShare: a key of one's own, pairing, relaying"))
        .args(lists)
        .arg(switch("admin", "What is the operator's"));
    let check = Command::new("check")
        .about("Says what a token permits, or why it is worth nothing")
        .arg(key("The secret, or the public or private Ed25519 key"))
        .arg(
            Arg::new("token")
                .value_name("TOKEN")
                .help("The token; without one, or for -, standard input")
                .default_value("-"),
        );
    Command::new("token").about("Makes and checks tokens").subcommands([make, check]).subcommand_required(true)
}

/// Does what the command line asks for.
pub(super) fn run(matches: &ArgMatches) -> Result<Order, UsageError> {
    match matches.subcommand() {
        Some(("make", matches)) => make(matches),
        Some((_, matches)) => check(matches),
        None => Err(usage("token: make or check?")),
    }
}

fn usage(wrong: impl std::fmt::Display) -> UsageError {
    UsageError(format!("error: {wrong}"))
}

/// The key's name, and what is in its file.
fn read(matches: &ArgMatches) -> Result<(TokenKey, KeyName, Vec<u8>), UsageError> {
    let text = matches.get_one::<String>("key").map(String::as_str).unwrap_or_default();
    let key = key(text).map_err(|wrong| usage(format_args!("--key {text}: {wrong}")))?;
    let file = fs::read(&key.path).map_err(|error| usage(format_args!("--key {}: {error}", key.path.display())))?;
    let name = KeyName { id: (&*key.id).into(), issuer: key.issuer.as_deref().map(Into::into) };
    Ok((key, name, file))
}

fn about_key(key: &TokenKey, wrong: BadKey) -> UsageError {
    usage(format_args!("--key {}: {wrong}", written(key)))
}

fn make(matches: &ArgMatches) -> Result<Order, UsageError> {
    let (key, name, file) = read(matches)?;
    let signing = SigningKey::new(name, &file).map_err(|wrong| about_key(&key, wrong))?;
    let time = matches.get_one::<String>("expires").map(String::as_str).unwrap_or_default();
    let span = Unit::Time.read(time).map_err(|wrong| usage(format_args!("--expires {time}: {wrong}")))?;
    let now = SystemTime::now();
    let seconds =
        now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(Duration::from_millis(span)).as_secs();
    let mut words: Vec<String> = Vec::new();
    for (list, ..) in LISTS {
        words.extend(matches.get_many::<String>(list).into_iter().flatten().map(|text| format!("{list}={text}")));
    }
    words.extend(["pair", "admin"].into_iter().filter(|name| matches.get_flag(name)).map(str::to_owned));
    let rights = Rights::read(words.iter().map(String::as_str)).map_err(usage)?;
    let id = match matches.get_one::<String>("id") {
        Some(id) => id.clone(),
        None => chance().map_err(usage)?,
    };
    let order = access::Order {
        rights,
        expires: seconds,
        subject: matches.get_one::<String>("subject").cloned(),
        id: Some(id),
    };
    let token =
        signing.sign(&order, now).map_err(|refusal| usage(format_args!("this token would be refused: {refusal}")))?;
    Ok(Order::Print(token + "\n"))
}

/// 128 bits that nobody has had before, in hexadecimal digits.
fn chance() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn check(matches: &ArgMatches) -> Result<Order, UsageError> {
    let (key, name, file) = read(matches)?;
    let mut ring = KeyRing::default();
    match ring.add(name.clone(), &file) {
        Err(BadKey::Private) => ring = SigningKey::new(name, &file).map_err(|wrong| about_key(&key, wrong))?.ring(),
        added => added.map_err(|wrong| about_key(&key, wrong))?,
    }
    let mut token = matches.get_one::<String>("token").cloned().unwrap_or_default();
    if token == "-" {
        token.clear();
        let most = MAX_TOKEN_BYTES as u64 + 16;
        std::io::stdin()
            .take(most)
            .read_to_string(&mut token)
            .map_err(|error| usage(format_args!("standard input: {error}")))?;
    }
    let now = SystemTime::now();
    Ok(match ring.verify(token.trim(), now) {
        Ok(grant) => Order::Print(described(&grant, now)),
        Err(refusal) => Order::Fail(format!("refused: {refusal}")),
    })
}

/// What a token permits, in lines.
fn described(grant: &Grant, now: SystemTime) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| out.push_str(&format!("{name:<10} {value}\n"));
    if let Some(holder) = &grant.holder {
        let texts = [("issuer", &holder.issuer), ("subject", &holder.subject), ("id", &holder.id)];
        for (name, text) in texts {
            line(name, text.as_deref().unwrap_or("none").to_owned());
        }
        let left = grant.remaining(now).map_or(0, |left| left.as_secs());
        line("expires", format!("in {left} s, {} s after 1970", holder.expires));
    }
    let Rights { pair, publish, subscribe, device, tcp, admin } = &grant.rights;
    let yes = |flag: bool| if flag { "yes" } else { "no" }.to_owned();
    let list = |patterns: &[Pattern]| joined(patterns.iter().map(Pattern::as_str));
    line("pair", yes(*pair));
    line("publish", list(publish));
    line("subscribe", list(subscribe));
    line("device", list(device));
    line("tcp", joined(tcp.iter().map(TargetPattern::as_str)));
    line("admin", yes(*admin));
    out
}

fn joined<'t>(texts: impl Iterator<Item = &'t str>) -> String {
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(" ") }
}
