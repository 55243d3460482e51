//! The rows of the gateway. It measures nothing.

use crate::gateway::{CallTimes, Calls, Cell, Gateway, Peer, Rates};
use crate::sample::Sample;
use crate::table::{Row, Section, Target, Unit};

/// Of NATS, at least as many messages; over QUIC only up to this size of a payload, since TLS over TCP costs less there.
const NATS_TIMES: f64 = 1.0;
const NATS_OVER_QUIC_BYTES: u32 = 256;
/// Of Zenoh over QUIC, at least as many messages.
const ZENOH_TIMES: f64 = 2.0;
/// Of half of quinn's one-way rate, since a relay takes and sends each byte on the same CPUs; from this size on.
const QUINN_PERCENT: f64 = 80.0;
const QUINN_BYTES: u32 = 1024;
/// Of NATS, at most as long.
const CALL_TIMES: f64 = 1.0;

const OURS: [(Peer, &str); 2] = [(Peer::GatewayTcp, "TCP"), (Peer::GatewayQuic, "QUIC")];
const OTHERS: [(Peer, &str); 4] = [
    (Peer::Nats, "NATS"),
    (Peer::Mosquitto, "Mosquitto"),
    (Peer::Zenoh, "Zenoh"),
    (Peer::Quinn, "quinn one way"),
];

pub fn sections(gateway: &Gateway) -> Vec<Section> {
    let refused = Row::new("cells that did not count", gateway.refused.len() as f64, Unit::Count)
        .beside(gateway.refused.first().cloned().unwrap_or_default().replace('\n', " "))
        .target(Target::AtMost(0.0));
    let messages = Cell::ALL.into_iter().flat_map(|cell| messages(&gateway.rates, cell));
    vec![
        Section { name: "The gateway, messages", rows: messages.chain([refused]).collect() },
        Section { name: "The gateway, calls", rows: calls(&gateway.calls) },
    ]
}

fn messages(rates: &Rates, cell: Cell) -> Vec<Row> {
    let others: Vec<String> = OTHERS
        .into_iter()
        .filter_map(|(peer, name)| Some((name, rates.of(peer, cell)?)))
        .map(|(name, rate)| format!("{name} {}", Unit::PerSecond.show(rate.median().round())))
        .collect();
    let mut rows = Vec::new();
    for (peer, transport) in OURS {
        let Some(ours) = rates.of(peer, cell) else { continue };
        let what = format!("{transport}, {}", cell.name());
        rows.push(Row::median(&what, &ours.rounded(), Unit::PerSecond).beside(others.join(", ")));
        let over_quic = peer == Peer::GatewayQuic;
        if let Some(nats) = rates.of(Peer::Nats, cell) {
            let row = Row::median(format!("{what}, to NATS"), &ours.times(nats), Unit::Times);
            let is_held = !over_quic || cell.size <= NATS_OVER_QUIC_BYTES;
            rows.push(if is_held { row.target(Target::AtLeast(NATS_TIMES)) } else { row });
        }
        if let Some(zenoh) = rates.of(Peer::Zenoh, cell).filter(|_| over_quic) {
            rows.push(
                Row::median(format!("{what}, to Zenoh"), &ours.times(zenoh), Unit::Times)
                    .target(Target::AtLeast(ZENOH_TIMES)),
            );
        }
        // One way is the same however many read it behind the relay.
        let quinn = rates.of(Peer::Quinn, Cell { subscribers: 1, ..cell });
        if let Some(quinn) = quinn.filter(|_| over_quic && cell.size >= QUINN_BYTES) {
            let share = ours.times(&quinn.scaled(0.5)).scaled(100.0);
            rows.push(
                Row::median(format!("{what}, of half of quinn one way"), &share, Unit::Percent)
                    .target(Target::AtLeast(QUINN_PERCENT)),
            );
        }
    }
    rows
}

fn calls(calls: &Calls) -> Vec<Row> {
    let mut rows = Vec::new();
    for in_flight in Calls::IN_FLIGHT {
        for (peer, transport) in OURS {
            let Some(ours) = calls.of(peer, in_flight) else { continue };
            let nats = calls.of(Peer::Nats, in_flight);
            let what = match in_flight {
                1 => format!("{transport}, one at a time"),
                _ => format!("{transport}, {in_flight} at a time"),
            };
            let of = |name: &str, of: fn(&CallTimes) -> &Sample| {
                time(format!("{what}, {name}"), of(ours), nats.map(of))
            };
            rows.extend(of("p50", |times| &times.p50));
            rows.extend(of("p99", |times| &times.p99));
            let beside = nats.map(|nats| Unit::PerSecond.show(nats.per_second.median().round()));
            rows.push(
                Row::median(format!("{what}, rate"), &ours.per_second.rounded(), Unit::PerSecond)
                    .beside(beside.map(|rate| format!("NATS {rate}")).unwrap_or_default()),
            );
        }
    }
    rows
}

/// How long, and beside NATS how many times as long.
fn time(what: String, ours: &Sample, nats: Option<&Sample>) -> Vec<Row> {
    let row = Row::median(&what, ours, Unit::Microseconds);
    let Some(nats) = nats else { return vec![row] };
    let row = row.beside(format!("NATS {}", Unit::Microseconds.show(nats.median())));
    let to_nats = Row::median(format!("{what}, to NATS"), &ours.times(nats), Unit::Times);
    vec![row, to_nats.target(Target::AtMost(CALL_TIMES))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(all: &[(Peer, f64)], cell: Cell) -> Rates {
        let mut rates = Rates::default();
        for (peer, rate) in all {
            rates.add(*peer, cell, Some(*rate));
        }
        rates
    }

    #[test]
    fn peers_that_did_not_run_have_no_rows() {
        let cell = Cell { subscribers: 1, size: 1024 };
        let alone = rates(&[(Peer::GatewayQuic, 30.0), (Peer::Quinn, 100.0)], cell);
        let rows = messages(&alone, cell);
        let names: Vec<_> = rows.iter().map(|row| row.what.as_str()).collect();
        assert_eq!(names, ["QUIC, 1:1, 1 KiB", "QUIC, 1:1, 1 KiB, of half of quinn one way"]);
        assert_eq!((rows[1].value, rows[1].met()), (60.0, Some(false)));
    }

    #[test]
    fn over_quic_only_small_messages_are_held_against_nats() {
        let met = |size| {
            let cell = Cell { subscribers: 5, size };
            let all = [(Peer::GatewayTcp, 9.0), (Peer::GatewayQuic, 5.0), (Peer::Nats, 10.0)];
            let rows = messages(&rates(&all, cell), cell);
            rows.iter().filter(|row| row.unit == Unit::Times).map(Row::met).collect::<Vec<_>>()
        };
        assert_eq!(met(256), [Some(false), Some(false)]);
        assert_eq!(met(1024), [Some(false), None]);
    }

    #[test]
    fn a_cell_that_did_not_count_misses_its_target() {
        let cell = Cell { subscribers: 1, size: 16 };
        let mut rates = rates(&[(Peer::Nats, 10.0)], cell);
        rates.add(Peer::GatewayTcp, cell, None);
        assert_eq!(messages(&rates, cell)[1].met(), Some(false));
    }
}
