//! What goes on right now, for an administrator to see: one JSON snapshot, made when somebody asks. Layer 3.
//!
//! Nothing is counted or kept for it: it is read off the tables, so it costs nothing while nobody looks. It is bounded
//! however many are connected: of clients, channels and bridges the most telling ones are listed, and totals are told.
//! Rates are the reader's affair, who has two snapshots. Names come from clients and are escaped, not judged. Who looks
//! for a client that is not among those listed gives a [`Filter`].

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::fs;
use std::time::UNIX_EPOCH;

use log::info;
use tungstenite::protocol::frame::coding::CloseCode;

use super::conn::{Behind, ConnId, Connection, Ending, Phase, Subject};
use super::exchange::{Exchange, second};
use super::usage::Usage;
use crate::hub::SessionId;
use crate::hub::devices::{Device, DeviceId};
use crate::hub::ids::Key;
use crate::hub::pairs::MemberId;
use crate::json::write::Writer;
use crate::net::reactor::Turn;
use crate::protocol::About;

/// Clients that are listed.
const MOST_CLIENTS: usize = 200;

/// Channels, pairs of each kind, and bridges, each, that are listed.
const MOST_OTHERS: usize = 100;

/// Bytes of a filter: as many as the longest name or id has.
pub(super) const MAX_FILTER: usize = 255;

/// Which clients are listed: those that have this text in their id, address, protocol, channel or device's id, whatever
/// the case of its ASCII letters, and the one whose key it is as a whole. Parts of keys find nobody: whoever pairs by
/// them must know them.
struct Filter {
    /// In lower case.
    text: String,
    member: Option<MemberId>,
}

impl Exchange {
    /// The snapshot. Each client has an `id`, which is never another's. Where `filter` is given, of clients only those are
    /// listed and counted (`clients_found`) that match it.
    pub(super) fn live_page(&self, turn: &Turn, filter: Option<&str>) -> Vec<u8> {
        let filter = filter.map(|text| Filter {
            text: text.to_ascii_lowercase(),
            member: Key::parse(text).and_then(|key| self.hub.pairs.find(key)),
        });
        let mut out = Vec::with_capacity(16 * 1024);
        let since_epoch = turn.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = second(turn.now, self.started);
        Writer::new(&mut out).object(|json| {
            json.name("version").string(env!("CARGO_PKG_VERSION"));
            json.name("now_ms").number(since_epoch.as_millis() as u64);
            json.name("uptime_s").number(now.into());
            // Rates need a clock that is not set.
            let monotonic = turn.now.saturating_duration_since(self.started);
            json.name("clock_ms").number(monotonic.as_millis() as u64);
            json.name("is_draining").boolean(self.is_draining());
            if let Some(bytes) = resident_bytes() {
                json.name("resident_bytes").number(bytes);
            }
            json.name("gauges").object(|json| {
                for (name, value) in self.gauges() {
                    json.name(short(name)).number(value as u64);
                }
            });
            json.name("counters").object(|json| {
                for (name, value) in self.metrics.rows() {
                    json.name(short(name)).number(value);
                }
            });
            json.name("limits").array(|json| self.write_limits(json));
            json.name("listeners").array(|json| self.write_listeners(json));
            let mut found = 0;
            json.name("clients").array(|json| found = self.write_clients(json, now, filter.as_ref()));
            json.name("clients_found").number(found as u64);
            json.name("pairs").array(|json| self.write_pairs(json));
            json.name("channels").array(|json| self.write_channels(json));
            json.name("bridges").array(|json| self.write_bridges(json, now));
            json.name("links").array(|json| self.write_links(json, now));
        });
        out.push(b'\n');
        out
    }

    /// Closes a client for an administrator. `false` when it has gone, or is the one who asks.
    pub(super) fn dismiss(&mut self, turn: &mut Turn, asker: ConnId, slot: ConnId, serial: u32) -> bool {
        let is_meant = |conn: &Connection| conn.serial == serial && !conn.end.is_ours() && slot != asker;
        let Some(conn) = self.conns.get(slot as usize).filter(|conn| is_meant(conn)) else { return false };
        match conn.phase {
            Phase::Open(_) => {
                info!("{}: an administrator closes it", conn.client());
                self.close(turn, slot, CloseCode::Policy, "closed by an administrator".to_owned());
                true
            }
            Phase::Preamble | Phase::Http | Phase::Polling => {
                self.end(turn, slot, &Ending::ByUs(CloseCode::Policy, "by an administrator".to_owned()));
                true
            }
            Phase::Linking | Phase::Dialing(_) | Phase::Bridge(_) | Phase::Closing | Phase::Ended => false,
        }
    }

    /// The limits of which a use can be shown; the others are told once they have refused something.
    fn write_limits(&self, json: &mut Writer<'_>) {
        for Usage { option, limit, used } in self.usage() {
            let refused = self.refusals.of(option);
            if used.is_none() && refused == 0 {
                continue;
            }
            json.object(|json| {
                json.name("option").string(&format!("--{option}"));
                json.name("limit").number(limit as u64);
                if let Some(used) = used {
                    json.name("used").number(used as u64);
                }
                json.name("refused").number(refused);
            });
        }
    }

    fn write_listeners(&self, json: &mut Writer<'_>) {
        for (number, (listener, listen)) in self.listeners.iter().enumerate() {
            json.object(|json| {
                json.name("address").string(&listener.address().to_string());
                json.name("root").string(listen.root.name());
                json.name("tls").boolean(listen.tls);
                json.name("is_admin").boolean(number >= self.first_admin);
            });
        }
    }

    /// Returns how many match, of which the first are listed.
    fn write_clients(&self, json: &mut Writer<'_>, now: u32, filter: Option<&Filter>) -> usize {
        let is_client = |conn: &Connection| !conn.end.is_ours() && conn.phase != Phase::Ended;
        let clients = self.conns.iter().map(|(slot, conn)| (slot as ConnId, conn)).filter(|(_, conn)| is_client(conn));
        let mut words = String::new();
        let found =
            clients.filter(|(slot, conn)| filter.is_none_or(|filter| self.matches(filter, *slot, conn, &mut words)));
        // Those that hold something up first, then those with the most to read, then the newest.
        let weighed = found.map(|(slot, conn)| {
            let rank = (conn.waits_for.is_some(), conn.socket.weight(), conn.session().is_some(), conn.serial);
            (Reverse(rank), slot)
        });
        let weighed: Vec<_> = weighed.collect();
        let found = weighed.len();
        for (_, slot) in first(MOST_CLIENTS, weighed) {
            let conn = &self.conns[slot as usize];
            json.object(|json| self.write_client(json, slot, conn, now));
        }
        found
    }

    /// Whether a filter lets a client pass. `words` is memory for what it is found by, whatever it holds.
    fn matches(&self, filter: &Filter, slot: ConnId, conn: &Connection, words: &mut String) -> bool {
        words.clear();
        write!(words, "{slot}.{}\n{}\n", conn.serial, conn.client()).expect("writing to memory does not fail");
        if let Some(about) = self.about(slot, conn) {
            if about.member.is_some() && about.member == filter.member {
                return true;
            }
            let channel = about.channel.map(|channel| self.hub.channels.name(channel));
            let device = about.device.and_then(|device| self.hub.devices.get(device)?.id());
            for word in [Some(about.protocol), channel, device].into_iter().flatten() {
                *words += word;
                words.push('\n');
            }
        }
        words.make_ascii_lowercase();
        words.contains(&filter.text)
    }

    /// What can be said of the session of a client, or of the one whose request it brings, if there is one.
    fn about(&self, slot: ConnId, conn: &Connection) -> Option<About> {
        let session = conn.session().or_else(|| self.polling.session(slot))?;
        Some(self.sessions[session.0 as usize].about())
    }

    fn write_client(&self, json: &mut Writer<'_>, slot: ConnId, conn: &Connection, now: u32) {
        json.name("id").string(&id(slot, conn));
        json.name("address").string(&conn.client().to_string());
        json.name("derived").string(conn.derivation().as_str());
        json.name("listener").number(conn.listener.into());
        json.name("since_s").number(now.saturating_sub(conn.since).into());
        json.name("queued").number(conn.socket.weight() as u64);
        let state = match conn.phase {
            Phase::Preamble => "proxy header",
            Phase::Http => "request",
            Phase::Polling => "polling",
            Phase::Open(_) if conn.waits_for.is_some() => "paused",
            Phase::Open(_) if conn.is_held => "dialing",
            Phase::Open(_) => "open",
            Phase::Linking => "linking",
            Phase::Dialing(_) | Phase::Bridge(_) | Phase::Closing | Phase::Ended => "closing",
        };
        json.name("state").string(state);
        if let Some(Subject::Socket(behind)) = conn.waits_for.map(Behind::subject) {
            let behind = self.conns.get(behind as usize).map(|conn| id(behind, conn));
            json.name("waits_for").string(behind.as_deref().unwrap_or_default());
        }
        let Some(about) = self.about(slot, conn) else { return };
        json.name("protocol").string(about.protocol);
        if let Some(channel) = about.channel {
            json.name("channel").string(self.hub.channels.name(channel));
        }
        if let Some(device) = about.device {
            self.write_device(json, device);
        }
        let partner = about.member.and_then(|member| self.hub.pairs.partner(member));
        if let Some(partner) = partner.and_then(|partner| self.id_of(self.hub.pairs.session(partner))) {
            json.name("partner").string(&partner);
        }
    }

    /// The id by which others find a client's device, and its partner: the client, where it has a connection right now, and
    /// the id.
    fn write_device(&self, json: &mut Writer<'_>, device: DeviceId) {
        let devices = &self.hub.devices;
        if let Some(id) = devices.get(device).and_then(Device::id) {
            json.name("device").string(id);
        }
        let Some(partner) = devices.partner(device).and_then(|partner| devices.get(partner)) else { return };
        if let Some(client) = self.id_of(partner.session) {
            json.name("partner").string(&client);
        }
        if let Some(id) = partner.id() {
            json.name("partner_device").string(id);
        }
    }

    fn write_pairs(&self, json: &mut Writer<'_>) {
        let pairs = self.hub.pairs.iter().filter_map(|(one, other)| Some([self.id_of(one)?, self.id_of(other)?]));
        for clients in pairs.take(MOST_OTHERS) {
            json.object(|json| {
                json.name("protocol").string("webshare");
                json.name("clients").array(|json| clients.iter().for_each(|client| json.string(client)));
            });
        }
        for (one, other) in self.hub.devices.pairs().take(MOST_OTHERS) {
            json.object(|json| {
                json.name("protocol").string("socket.io");
                // One that polls has no connection between two polls.
                let clients = [one, other].map(|device| self.id_of(device.session));
                json.name("clients")
                    .array(|json| clients.iter().for_each(|client| json.string_or_null(client.as_deref())));
                let ids = [one, other].map(Device::id);
                json.name("devices").array(|json| ids.into_iter().for_each(|id| json.string_or_null(id)));
            });
        }
    }

    fn write_channels(&self, json: &mut Writer<'_>) {
        let weighed = self.hub.channels.iter().map(|(name, members)| (Reverse(members), name));
        for (Reverse(members), name) in first(MOST_OTHERS, weighed.collect()) {
            json.object(|json| {
                json.name("name").string(name);
                json.name("members").number(members as u64);
            });
        }
    }

    fn write_bridges(&self, json: &mut Writer<'_>, now: u32) {
        let session = |conn: &Connection| match conn.phase {
            Phase::Dialing(session) | Phase::Bridge(session) => Some(session),
            _ => None,
        };
        let bridges = self.conns.iter().filter_map(|(_, conn)| Some((conn, session(conn)?)));
        let weighed = bridges.map(|(conn, session)| (Reverse(conn.socket.weight()), session.0, conn.client(), conn));
        let weighed = weighed.map(|(weight, session, peer, conn)| ((weight, session, peer), conn));
        let mut weighed: Vec<_> = weighed.collect();
        weighed.sort_unstable_by_key(|(rank, _)| *rank);
        for ((Reverse(queued), session, target), conn) in weighed.into_iter().take(MOST_OTHERS) {
            json.object(|json| {
                if let Some(client) = self.id_of(SessionId(session)) {
                    json.name("client").string(&client);
                }
                json.name("target").string(&target.to_string());
                json.name("is_open").boolean(matches!(conn.phase, Phase::Bridge(_)));
                json.name("since_s").number(now.saturating_sub(conn.since).into());
                json.name("queued").number(queued as u64);
            });
        }
    }

    fn write_links(&self, json: &mut Writer<'_>, now: u32) {
        let links = self.conns.iter().filter(|(_, conn)| conn.end.is_link()).filter_map(|(_, conn)| {
            let about = self.sessions[conn.session()?.0 as usize].about();
            Some((conn, about.channel))
        });
        for (conn, channel) in links.take(MOST_OTHERS) {
            json.object(|json| {
                json.name("peer").string(&conn.client().to_string());
                json.name("channel").string(channel.map_or("", |channel| self.hub.channels.name(channel)));
                json.name("state").string(if conn.end.is_ours() { "dialled" } else { "accepted" });
                json.name("since_s").number(now.saturating_sub(conn.since).into());
                json.name("queued").number(conn.socket.weight() as u64);
            });
        }
    }

    /// What the client of a session is called, if it has a connection.
    fn id_of(&self, session: SessionId) -> Option<String> {
        let slot = self.outlets.get(session).or_else(|| self.polling.connection(session))?;
        Some(id(slot, &self.conns[slot as usize]))
    }
}

/// The first `most` of `weighed`, in order.
fn first<T: Ord>(most: usize, mut weighed: Vec<T>) -> Vec<T> {
    if weighed.len() > most {
        weighed.select_nth_unstable(most);
        weighed.truncate(most);
    }
    weighed.sort_unstable();
    weighed
}

/// What a connection is called: no later one in the same slot has this name.
fn id(slot: ConnId, conn: &Connection) -> String {
    format!("{slot}.{}", conn.serial)
}

/// `jackfield_reads_total` is `reads` here.
fn short(name: &str) -> &str {
    let name = name.strip_prefix("jackfield_").unwrap_or(name);
    name.strip_suffix("_total").unwrap_or(name)
}

/// The memory of this process that is in RAM (`VmRSS`, which comes in KiB whatever a page is); `None` where the system
/// does not tell.
fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}
