//! What a life had bound and was listening on at a moment. It must not know why that matters.

use crate::capture::event::{Bind, BootNs, LostKind, ProcessId, Protocol, What};

use crate::diagnose::verdict::{death::Death, wording};

#[derive(Clone, Debug, Default)]
pub(in crate::diagnose::verdict) struct Readiness {
    /// Ports with a TCP listener, and ports that were bound on UDP by number.
    pub tcp: Vec<u16>,
    pub udp: Vec<u16>,
    /// Paths of unix sockets that were listened on.
    pub unix: Vec<String>,
    pub entries: Vec<usize>,
    /// Binds or listens that were not recorded.
    pub lost: u64,
    /// Its beginning was not recorded, and its sockets could not be looked at.
    pub unknown: bool,
}

/// Until `time_ns`. A socket that was closed again still counts: closing is not recorded.
pub(in crate::diagnose::verdict) fn of(death: &Death<'_>, time_ns: BootNs) -> Readiness {
    let mut ready =
        Readiness { lost: death.timeline.lost_of(LostKind::Bind), ..Readiness::default() };
    let before = death.timeline.entries.iter().enumerate().filter(|(_, it)| it.time_ns <= time_ns);
    for (index, event) in before {
        let Some(bind) = event.bind() else { continue };
        if bind.errno.is_some() {
            continue;
        }
        let noted = match (bind.protocol, bind.listen) {
            (Protocol::Tcp, true) => add(&mut ready.tcp, bind.port),
            // Port 0 asked for any: a client's socket, not a service.
            (Protocol::Udp, false) if bind.address.port().is_some() => {
                add(&mut ready.udp, bind.port)
            }
            (_, true) => match unix_path(death, event.process.id, bind, index) {
                Some(path) => {
                    ready.unix.push(path);
                    true
                }
                None => false,
            },
            _ => false,
        };
        if noted {
            ready.entries.push(index);
        }
    }
    let looked_at = death.facts.listeners.iter().filter(|it| it.pid == death.main.pid);
    for listeners in looked_at.clone() {
        for port in &listeners.tcp {
            add(&mut ready.tcp, *port);
        }
        for port in &listeners.udp {
            add(&mut ready.udp, *port);
        }
    }
    ready.unknown = looked_at.count() == 0 && !begins_recorded(death);
    ready
}

/// Whether the main process's binds were recorded from its beginning on.
fn begins_recorded(death: &Death<'_>) -> bool {
    death.events(death.main).all(|(_, event)| {
        let unrecorded_end = event.exit().is_some_and(|exit| !exit.recorded);
        !matches!(event.what, What::Found(_)) && !unrecorded_end
    })
}

impl Readiness {
    pub fn nothing_bound(&self) -> bool {
        self.tcp.is_empty()
            && self.udp.is_empty()
            && self.unix.is_empty()
            && self.lost == 0
            && !self.unknown
    }

    /// `the container never listened on TCP, and port 9443 is bound on UDP only`
    pub fn text(&self) -> String {
        let numbers =
            |ports: &[u16]| wording::list(&ports.iter().map(u16::to_string).collect::<Vec<_>>());
        let only_udp: Vec<u16> =
            self.udp.iter().copied().filter(|port| !self.tcp.contains(port)).collect();
        let noun = if only_udp.len() == 1 { "port" } else { "ports" };
        let verb = if only_udp.len() == 1 { "is" } else { "are" };
        let udp = format!("{noun} {} {verb} bound on UDP only", numbers(&only_udp));
        let caveat = match self.lost {
            0 => String::new(),
            lost => format!(" (as far as recorded: {lost} binds were lost)"),
        };
        let text = match (self.tcp.is_empty(), only_udp.is_empty()) {
            (true, true) if self.unknown && self.unix.is_empty() => {
                "where it listened is not known, as its beginning was not recorded".to_owned()
            }
            (true, true) if self.unix.is_empty() => {
                "the container never listened on TCP and bound no UDP port".to_owned()
            }
            (true, true) => format!(
                "the container never listened on TCP and bound no UDP port, only {}",
                wording::list(&self.unix)
            ),
            (true, false) => format!("the container never listened on TCP, and {udp}"),
            (false, true) => format!("it was listening on TCP {}", numbers(&self.tcp)),
            (false, false) => format!("it was listening on TCP {}, and {udp}", numbers(&self.tcp)),
        };
        text + &caveat
    }
}

fn add(ports: &mut Vec<u16>, port: u16) -> bool {
    if !ports.contains(&port) {
        ports.push(port);
    }
    true
}

/// listen does not tell the address: that of the last bind of the same descriptor.
fn unix_path(death: &Death<'_>, id: ProcessId, listen: &Bind, index: usize) -> Option<String> {
    let before = death.events(id).rev().filter(|(at, _)| *at < index);
    let binds = before.filter_map(|(_, event)| event.bind());
    let mut of_socket = binds.filter(|bind| bind.fd == listen.fd && !bind.listen);
    let path = of_socket.find_map(|bind| bind.address.unix())?;
    Some(format!("the unix socket {path}"))
}
