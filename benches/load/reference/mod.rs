//! The yardsticks: two relays that do as little as a relay can.
//!
//! Both are one thread, one epoll, one scratch buffer: a read is followed by one write for each receiver and nothing
//! else. [`raw`] forwards bytes; [`bare`] takes the masking off WebSocket frames and rewrites their headers. Neither
//! has limits, timers, UTF-8 checks or errors worth the name, and neither is a server for anybody: what they cost is
//! what the kernel costs, and a server is compared with them.
//!
//! With a target, both are bridges instead: each client has a connection to that address of its own, and what one of
//! the two says goes to the other. [`echo`] is what they lead to.
//!
//! They run in a process of their own, which the load generator starts from its own binary.

pub(crate) mod bare;
pub(crate) mod echo;
pub(crate) mod raw;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;
use socket2::{Domain, Socket, Type};

/// What is read at once. A burst that fits leaves in one write.
const SCRATCH_BYTES: usize = 256 * 1024;

/// Connections the kernel holds until they are accepted; it cuts this to its own limit.
const BACKLOG: i32 = 4096;

const LISTENER: Token = Token(usize::MAX);

/// Members that belong to no group yet.
const NOBODY: usize = usize::MAX;

/// How the bytes of one connection become the bytes of the others.
pub(crate) trait Wire: Default {
    /// Connections are grouped as they are accepted, not by what they ask for.
    const GROUPS_ON_ACCEPT: bool;

    /// The far end of a bridge.
    fn target() -> Self {
        Self::default()
    }

    /// This connection's group is a bridge: its bytes go to something that speaks nothing in particular.
    fn lead_to_target(&mut self) {}

    /// Puts what the last read left over at the front of the scratch, and says how much that is.
    fn restore(&mut self, scratch: &mut [u8]) -> usize;

    /// Works on everything that is there; `receipts` takes what goes back to the sender.
    fn on_bytes(&mut self, bytes: &mut [u8], receipts: &mut Vec<u8>) -> Step;
}

/// What a read comes to.
pub(crate) enum Step {
    /// This range of the scratch goes to everybody else of the group; then the connection may be over.
    Forward { range: Range<usize>, is_last: bool },
    /// The opening handshake is complete: the group of this path is joined.
    Join { path: Box<[u8]>, answer: [u8; bare::ANSWER_BYTES] },
    /// More is needed.
    Wait,
    /// This is no client of ours.
    Refuse,
}

/// Who is joined with whom on a server that groups on accept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Grouping {
    /// The first with the second, the third with the fourth.
    Pairs,
    /// Everybody with everybody.
    FanOut,
}

struct Member<W> {
    stream: TcpStream,
    group: usize,
    /// What the kernel did not take; the group's senders are not read meanwhile.
    queue: Vec<u8>,
    /// How much of the queue has left.
    sent: usize,
    /// Its socket may hold bytes that were not read because the group was blocked.
    is_waiting: bool,
    wire: W,
}

#[derive(Default)]
struct Group {
    members: Vec<usize>,
    /// = members whose queue is not empty.
    blocked: usize,
    path: Box<[u8]>,
}

/// A relay over one kind of wire.
pub(crate) struct Exchange<W> {
    poll: Poll,
    listener: TcpListener,
    members: Slab<Member<W>>,
    groups: Slab<Group>,
    paths: HashMap<Box<[u8]>, usize>,
    grouping: Grouping,
    /// Where a bridge leads; then nobody is joined with another client.
    target: Option<SocketAddr>,
    /// The group that the next accepted connection joins, on a wire that groups on accept.
    filling: Option<usize>,
    scratch: Vec<u8>,
    receipts: Vec<u8>,
}

impl<W: Wire> Exchange<W> {
    /// Listens on a free port of the loopback interface.
    pub(crate) fn bind(grouping: Grouping, target: Option<SocketAddr>) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        // Accepted connections inherit it, which saves each of them a system call.
        socket.set_tcp_nodelay(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(BACKLOG)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            members: Slab::new(),
            groups: Slab::new(),
            paths: HashMap::new(),
            grouping,
            target,
            filling: None,
            scratch: vec![0; SCRATCH_BYTES],
            receipts: Vec::new(),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(1024);
        loop {
            if let Err(error) = self.poll.poll(&mut events, None) {
                if error.kind() == ErrorKind::Interrupted {
                    continue;
                }
                return Err(error);
            }
            for event in &events {
                if event.token() == LISTENER {
                    self.accept()?;
                    continue;
                }
                // A token that was given away in this very batch costs its new owner a read that finds nothing.
                let token = event.token().0;
                if event.is_writable() {
                    self.flush(token);
                }
                if event.is_readable() {
                    self.pump(token, event.is_read_closed());
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // The peer was gone before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let token = self.insert(stream, W::default())?;
            if !W::GROUPS_ON_ACCEPT {
                continue;
            }
            if self.target.is_some() {
                self.bridge(token)?;
            } else {
                let group = *self.filling.get_or_insert_with(|| self.groups.insert(Group::default()));
                self.join(token, group);
                if self.grouping == Grouping::Pairs && self.groups[group].members.len() == 2 {
                    self.filling = None;
                }
            }
        }
    }

    fn insert(&mut self, mut stream: TcpStream, wire: W) -> io::Result<usize> {
        let entry = self.members.vacant_entry();
        let token = entry.key();
        self.poll.registry().register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Member { stream, group: NOBODY, queue: Vec::new(), sent: 0, is_waiting: false, wire });
        Ok(token)
    }

    /// Dials the target for this client and joins the two. What is written before the connection stands is queued.
    fn bridge(&mut self, token: usize) -> io::Result<()> {
        let Some(target) = self.target else { return Ok(()) };
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        let far = self.insert(stream, W::target())?;
        let group = self.groups.insert(Group::default());
        self.join(token, group);
        self.join(far, group);
        self.members[token].wire.lead_to_target();
        Ok(())
    }

    fn join(&mut self, token: usize, group: usize) {
        self.groups[group].members.push(token);
        self.members[token].group = group;
    }

    /// Reads and forwards until the socket is empty or the group is blocked.
    fn pump(&mut self, token: usize, is_closing: bool) {
        loop {
            let Some(member) = self.members.get_mut(token) else { return };
            // Its own queue is no reason: what this member says goes to the others.
            let own = usize::from(!member.queue.is_empty());
            if self.groups.get(member.group).is_some_and(|group| group.blocked > own) {
                member.is_waiting = true;
                return;
            }
            let kept = member.wire.restore(&mut self.scratch);
            let filled = match member.stream.read(&mut self.scratch[kept..]) {
                Ok(0) => return self.remove(token),
                Ok(read) => kept + read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return self.remove(token),
            };
            match member.wire.on_bytes(&mut self.scratch[..filled], &mut self.receipts) {
                Step::Forward { range, is_last } => {
                    self.forward(token, range);
                    if is_last {
                        return self.remove(token);
                    }
                }
                Step::Join { path, answer } => {
                    // The socket's buffer is empty, so that an answer this short leaves in one piece.
                    if !matches!(member.stream.write(&answer), Ok(sent) if sent == answer.len()) {
                        return self.remove(token);
                    }
                    if self.target.is_some() {
                        if self.bridge(token).is_err() {
                            return self.remove(token);
                        }
                        continue;
                    }
                    let groups = &mut self.groups;
                    let group = *self
                        .paths
                        .entry(path)
                        .or_insert_with_key(|path| groups.insert(Group { path: path.clone(), ..Group::default() }));
                    self.join(token, group);
                }
                Step::Wait => {}
                Step::Refuse => return self.remove(token),
            }
            // A read that did not fill the buffer emptied the socket, and what comes next is a new edge; only an end
            // of stream that was announced with this one must still be read.
            if filled < self.scratch.len() && !is_closing {
                return;
            }
        }
    }

    /// One write to the sender when there are receipts, and one to everybody else of its group.
    fn forward(&mut self, token: usize, range: Range<usize>) {
        let Self { members, groups, scratch, receipts, .. } = self;
        let sender = &mut members[token];
        let Some(group) = groups.get_mut(sender.group) else { return };
        if !receipts.is_empty() {
            group.blocked += usize::from(sender.deliver(receipts));
            receipts.clear();
        }
        if range.is_empty() {
            return;
        }
        let bytes = &scratch[range];
        for &to in &group.members {
            if to != token {
                group.blocked += usize::from(members[to].deliver(bytes));
            }
        }
    }

    /// Sends what is queued.
    fn flush(&mut self, token: usize) {
        let Some(member) = self.members.get_mut(token) else { return };
        if !member.queue.is_empty() && member.flush() {
            let group = member.group;
            self.unblock(group);
        }
    }

    /// One member fewer is behind; when nobody is any more, the group's senders are read again.
    fn unblock(&mut self, at: usize) {
        let Some(group) = self.groups.get_mut(at) else { return };
        group.blocked -= 1;
        let mut next = 0;
        while let Some(group) = self.groups.get(at)
            && group.blocked == 0
            && let Some(&token) = group.members.get(next)
        {
            next += 1;
            if std::mem::take(&mut self.members[token].is_waiting) {
                self.pump(token, true);
            }
        }
    }

    fn remove(&mut self, token: usize) {
        let member = self.members.remove(token);
        let Some(group) = self.groups.get_mut(member.group) else { return };
        group.members.retain(|&other| other != token);
        if self.target.is_some()
            && let Some(far) = group.members.pop()
        {
            self.members.remove(far);
        }
        if group.members.is_empty() && self.filling != Some(member.group) {
            let group = self.groups.remove(member.group);
            self.paths.remove(&group.path);
        } else if !member.queue.is_empty() {
            self.unblock(member.group);
        }
    }
}

impl<W> Member<W> {
    /// Writes, and keeps what the kernel did not take. Says whether the member is behind only now.
    fn deliver(&mut self, bytes: &[u8]) -> bool {
        let was_behind = !self.queue.is_empty();
        let sent = if was_behind { 0 } else { self.stream.write(bytes).unwrap_or(0) };
        // A connection that fails here is removed when its error is read.
        self.queue.extend_from_slice(&bytes[sent..]);
        !was_behind && sent < bytes.len()
    }

    /// Writes from the queue. Says whether that emptied it.
    fn flush(&mut self) -> bool {
        while self.sent < self.queue.len() {
            match self.stream.write(&self.queue[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.queue.clear();
        self.sent = 0;
        true
    }
}
