//! A failed call as the rules see it, whichever hook told of it. It must not decide which one matters.

use std::borrow::Cow;

use crate::{
    capture::event::{
        Address, After, Bind, BootNs, Call, DnsAnswer, Event, Object, Process, ProcessId, Protocol,
    },
    linux::{errno::Errno, text::Text},
};

use crate::diagnose::verdict::death::Death;

#[derive(Clone, Debug)]
pub(in crate::diagnose::verdict) struct Failure<'a> {
    /// The entry that tells of the error, then those that tell what it was about.
    pub entries: Vec<usize>,
    pub time_ns: BootNs,
    pub process: &'a Process,
    /// Name of the system call.
    pub call: &'static str,
    pub errno: Errno,
    pub subject: Subject<'a>,
    pub protocol: Option<Protocol>,
    pub args: [u64; 5],
    pub told_by: Told,
    pub after: After,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::diagnose::verdict) enum Told {
    Exec,
    Bind,
    Call,
}

/// What a failed call was about.
#[derive(Clone, Debug)]
pub(in crate::diagnose::verdict) enum Subject<'a> {
    None,
    Path(&'a Text),
    Address {
        address: &'a Address,
        port: u16,
    },
    /// The name a DNS message asked for, and the answer where it was one.
    Question {
        name: Cow<'a, Text>,
        answer: Option<DnsAnswer>,
    },
}

impl<'a> Failure<'a> {
    /// All failed calls of a process since it last exec'd, in order of time. With them those of children that it
    /// forked and that never became another program: of one that has ended only its failed execs, since its other
    /// failures were told by its status.
    pub fn all_of(death: &Death<'a>, id: ProcessId) -> Vec<Self> {
        let since = death.tree.execs(id).last().copied();
        let recent = |index: usize| since.is_none_or(|since| index > since);
        let end_ns = death.end(id).map_or(BootNs::MAX, |end| end.time_ns);
        let own = death.tree.entries_of(id).iter().filter_map(|index| Self::at(death, *index));
        let mut all: Vec<Self> = own.collect();
        for child in death.tree.children(id).iter().filter(|child| death.never_execd(**child)) {
            let gone = death.end(*child).is_some_and(|end| end.time_ns < end_ns);
            let told =
                death.tree.entries_of(*child).iter().filter_map(|index| Self::at(death, *index));
            all.extend(told.filter(|failure| !gone || failure.told_by == Told::Exec));
        }
        all.retain(|failure| recent(failure.entries[0]));
        all.sort_by_key(|failure| failure.entries[0]);
        all
    }

    /// The failure that one entry tells of.
    pub fn at(death: &Death<'a>, index: usize) -> Option<Self> {
        let event = death.event(index);
        let new = |call, errno, subject, told_by| Self {
            entries: vec![index],
            time_ns: event.time_ns,
            process: &event.process,
            call,
            errno,
            subject,
            protocol: None,
            args: [0; 5],
            told_by,
            after: After::default(),
        };
        if let Some(failed) = event.exec_failed() {
            let call = if failed.dirfd.is_some() { "execveat" } else { "execve" };
            return Some(new(call, failed.errno, Subject::Path(&failed.path), Told::Exec));
        }
        if let Some(bind) = event.bind() {
            let call = if bind.listen { "listen" } else { "bind" };
            let failure = new(call, bind.errno?, bound(bind), Told::Bind);
            return Some(Self { protocol: Some(bind.protocol), ..failure });
        }
        let call = event.call()?;
        let failure = new(call.name, call.errno, subject(&call.object), Told::Call);
        let (protocol, args, after) = (call.protocol, call.args, call.after);
        let failure = Self { protocol, args, after, ..failure };
        Some(failure.joined_to_its_socket(death, call))
    }

    pub fn path(&self) -> Option<&'a Text> {
        match &self.subject {
            Subject::Path(path) => Some(path),
            Subject::Address { .. } | Subject::Question { .. } | Subject::None => None,
        }
    }

    pub fn address(&self) -> Option<(&'a Address, u16)> {
        match &self.subject {
            Subject::Address { address, port } => Some((address, *port)),
            Subject::Path(_) | Subject::Question { .. } | Subject::None => None,
        }
    }

    /// The name that a DNS message asks for.
    pub fn question(&self) -> Option<&Text> {
        match &self.subject {
            Subject::Question { name, .. } => Some(name),
            Subject::Path(_) | Subject::Address { .. } | Subject::None => None,
        }
    }

    /// The answer that a DNS message is.
    pub fn answer(&self) -> Option<DnsAnswer> {
        match &self.subject {
            Subject::Question { answer, .. } => *answer,
            Subject::Path(_) | Subject::Address { .. } | Subject::None => None,
        }
    }

    /// A DNS message, or a socket call towards a name server.
    pub fn is_dns(&self) -> bool {
        match &self.subject {
            Subject::Question { .. } => true,
            Subject::Address { address: Address::Inet(inet), .. } => {
                inet.port() == 53 && self.told_by == Told::Call
            }
            Subject::Address { .. } | Subject::Path(_) | Subject::None => false,
        }
    }

    /// A lookup that found nothing: what programs do when they probe for what need not exist.
    pub fn is_lookup(&self) -> bool {
        matches!(self.errno, Errno::ENOENT | Errno::ENOTDIR) && self.path().is_some()
    }

    /// A question without an answer, or an answer that says no.
    pub fn dns_failed(&self) -> bool {
        match &self.subject {
            Subject::Question { answer: Some(answer), .. } => answer.code != 0,
            // A question that went out is no failure yet.
            Subject::Question { answer: None, .. } => {
                self.errno.0 != 0 && self.errno != Errno::EINPROGRESS
            }
            Subject::Address { .. } => self.errno == Errno::ECONNREFUSED,
            Subject::Path(_) | Subject::None => false,
        }
    }

    /// SO_ERROR, or a later call on the socket, tells of a connect that was still pending when it returned, or of a
    /// DNS question that nobody was there to take.
    fn joined_to_its_socket(mut self, death: &Death<'a>, told: &Call) -> Self {
        let knows = matches!(self.subject, Subject::Address { .. } | Subject::Question { .. });
        let lost = matches!(told.errno, Errno::ECONNRESET | Errno::EPIPE | Errno::ETIMEDOUT);
        if knows || !(told.reported || told.errno == Errno::ECONNREFUSED || lost) {
            return self;
        }
        let at = self.entries[0];
        let earlier = death.events(self.process.id).rev().filter(|(index, _)| *index < at);
        let begun =
            earlier.filter_map(|(index, event)| Some((index, begun_on(event, told.args[0])?)));
        if let Some((index, call)) = begun.take(1).next() {
            self.entries.push(index);
            self.subject = subject(&call.object);
            self.protocol = self.protocol.or(call.protocol);
            // SO_ERROR tells of the connect itself; a read or write of what came after it.
            let of_connect = told.reported || told.errno == Errno::ECONNREFUSED;
            self.call = if self.is_dns() || !of_connect { self.call } else { "connect" };
        }
        self
    }
}

/// What was begun on a descriptor and had no result yet: a pending connect, a DNS question.
fn begun_on(event: &Event, fd: u64) -> Option<&Call> {
    let call = event.call()?;
    let connect = call.name == "connect" && call.errno == Errno::EINPROGRESS;
    let question = matches!(&call.object, Object::Dns(dns) if dns.answer.is_none());
    ((connect || question) && call.args[0] == fd).then_some(call)
}

fn bound(bind: &Bind) -> Subject<'_> {
    match &bind.address {
        Address::Unix(path) if !path.as_bytes().starts_with(b"@") => Subject::Path(path),
        address => Subject::Address { address, port: bind.port },
    }
}

fn subject(object: &Object) -> Subject<'_> {
    match object {
        Object::None | Object::Pids { .. } => Subject::None,
        Object::Path { path, .. } | Object::File { path, .. } => Subject::Path(path),
        Object::Address(Address::Unix(path)) if !path.as_bytes().starts_with(b"@") => {
            Subject::Path(path)
        }
        Object::Address(address) => {
            let port = if let Address::Inet(inet) = address { inet.port() } else { 0 };
            Subject::Address { address, port }
        }
        Object::Dns(dns) => {
            Subject::Question { name: Cow::Borrowed(&dns.question), answer: dns.answer }
        }
    }
}
