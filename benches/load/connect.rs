//! Connecting over and over: accept, upgrade, close.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::{Events, Poll};

use crate::Outcome;
use crate::client::Client;
use crate::dialect::Dialect;
use crate::frames::{self, opcode};
use crate::measure;
use crate::target::Url;

/// Without a handshake for this long, a run has failed.
const STALL: Duration = Duration::from_secs(10);

/// A loop of connections, several at once.
pub(crate) struct Connects {
    url: Url,
    dialect: Dialect,
    /// With Close frames both ways before the connection ends.
    says_goodbye: bool,
    poll: Poll,
    slots: Vec<Slot>,
    begun: u32,
}

struct Slot {
    client: Client,
    since: Instant,
    is_open: bool,
}

/// What happened.
pub(crate) struct Handshakes {
    pub(crate) elapsed: Duration,
    /// Connections that were upgraded and closed.
    pub(crate) completed: u64,
    /// From connecting to being upgraded.
    pub(crate) latency: Histogram<u64>,
}

impl Connects {
    /// Begins with this many connections.
    pub(crate) fn open(url: Url, dialect: Dialect, slots: usize, says_goodbye: bool) -> Outcome<Self> {
        let mut connects =
            Self { url, dialect, says_goodbye, poll: Poll::new()?, slots: Vec::with_capacity(slots), begun: 0 };
        for at in 0..slots {
            let client = connects.connect(at)?;
            connects.slots.push(Slot { client, since: Instant::now(), is_open: false });
        }
        Ok(connects)
    }

    /// Goes round for this long.
    pub(crate) fn run(&mut self, duration: Duration) -> Outcome<Handshakes> {
        let start = Instant::now();
        let mut tally = Handshakes { elapsed: duration, completed: 0, latency: measure::histogram() };
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; 4096];
        let mut progress = (start, 0);
        while start.elapsed() < duration {
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                let at = event.token().0;
                let slot = &mut self.slots[at];
                if slot.client.is_connected_by(event)? {
                    let path = self.dialect.path(&self.url, &format!("connect-{at}"), 0, false);
                    slot.client.request(&self.url.host, &path)?;
                }
                if event.is_readable() && self.on_readable(at, &mut scratch, &mut tally)? {
                    tally.completed += 1;
                    // Replacing the client closes its socket.
                    self.slots[at].client = self.connect(at)?;
                    self.slots[at].since = Instant::now();
                    self.slots[at].is_open = false;
                }
            }
            if tally.completed > progress.1 {
                progress = (Instant::now(), tally.completed);
            } else if progress.0.elapsed() > STALL {
                return Err("no handshake is completed any more".into());
            }
        }
        tally.elapsed = start.elapsed();
        Ok(tally)
    }

    /// Whether the connection has been through everything.
    fn on_readable(&mut self, at: usize, scratch: &mut [u8], tally: &mut Handshakes) -> Outcome<bool> {
        let slot = &mut self.slots[at];
        while let Some(read) = slot.client.read(scratch)? {
            if read == 0 {
                return if slot.is_open { Ok(true) } else { Err("closed by the server while opening".into()) };
            }
            if slot.is_open {
                // The server's Close frame; the end of the stream follows.
                continue;
            }
            let mut input = &scratch[..read];
            if !slot.client.on_answer(&mut input)? {
                continue;
            }
            slot.is_open = true;
            measure::record(&mut tally.latency, slot.since.elapsed());
            if !self.says_goodbye {
                return Ok(true);
            }
            let code = 1000u16.to_be_bytes();
            frames::append(&mut slot.client.out, opcode::CLOSE, Some(self.begun), 2, |out| {
                out.extend_from_slice(&code);
            });
            slot.client.flush()?;
        }
        Ok(false)
    }

    fn connect(&mut self, at: usize) -> Outcome<Client> {
        self.begun = self.begun.wrapping_add(1);
        let client = Client::connect(self.url.address, self.begun, self.poll.registry(), at)
            .map_err(|error| format!("connection {}: {error}", self.begun))?;
        client.secure(&self.url)
    }
}
