"""How a connection ends. A peer notices the end at once only by FIN of its stream, so FIN comes before the close."""

import asyncio
import os
import signal
import time

from peer import Peer
from stage import Skipped, Stage, expect, row
from wire import Kind, message

# A peer of a wrong realm comes back about once a second. What is held shorter than this is not held.
HELD_AT_LEAST_S = 2.0
HELD_AT_MOST_S = 30.0


@row
async def a_wrong_realm_is_refused_after_some_seconds_each_time(stage: Stage) -> None:
    for attempt in ("the first time", "the second time"):
        peer = await stage.visitor(patient=True)
        peer.write(peer.connect_frame(realm_id="realm.of.nobody"))
        begin = time.monotonic()
        await peer.until_closed(HELD_AT_MOST_S)
        finished(peer, "unknown_realm")
        # A DISCONNECT may come before: what brings a peer back is FIN.
        held_s = peer.ending["fin"] - begin
        expect(held_s >= HELD_AT_LEAST_S, f"{attempt} its stream was ended after {held_s:.3f} s")
        expect(not peer.pongs, "it was confirmed by a PONG")


@row
async def many_of_a_wrong_realm_keep_nobody_waiting(stage: Stage) -> None:
    strangers = [await stage.visitor(f"stranger {number}", patient=True) for number in range(20)]
    for stranger in strangers:
        stranger.write(stranger.connect_frame(realm_id="realm.of.nobody"))
    begin = time.monotonic()
    publisher, subscriber = await stage.pair(stage.name("served"))
    publisher.publish(stage.name("served"), b"1")
    expect(len(await stage.delivered(publisher, subscriber)) == 1, "a message was lost")
    took_s = time.monotonic() - begin
    expect(took_s < HELD_AT_LEAST_S, f"others waited {took_s:.3f} s")
    for stranger in strangers:
        await stranger.until_closed(HELD_AT_MOST_S)
        finished(stranger, "unknown_realm")


@row
async def who_is_refused_may_leave_before_it_is_told(stage: Stage) -> None:
    for _ in range(5):
        peer = await stage.visitor()
        peer.write(peer.connect_frame(realm_id="realm.of.nobody"))
        peer.hang_up()
    await stage.peer("another")


@row
async def a_goodbye_is_answered_by_the_end_of_the_stream(stage: Stage) -> None:
    peer = await stage.peer(patient=True)
    peer.write(message(Kind.DISCONNECT, reason="normal", message="bye"))
    await peer.until_closed()
    finished(peer)
    ended_normally(peer)


@row
async def a_goodbye_may_lack_its_message(stage: Stage) -> None:
    peer = await stage.peer(patient=True)
    peer.write(message(Kind.DISCONNECT, reason="normal"))
    await peer.until_closed()
    finished(peer)


@row
async def the_end_of_a_peers_stream_is_answered_by_the_end_of_the_gateways(stage: Stage) -> None:
    peer = await stage.peer(patient=True)
    peer.finish()
    await peer.until_closed()
    # Over TCP asyncio reads nothing after it has ended its own direction.
    if stage.place.transport == "quic":
        finished(peer)
        ended_normally(peer)


@row
async def a_first_frame_that_is_no_connect_ends_the_stream(stage: Stage) -> None:
    peer = await stage.visitor(patient=True)
    peer.publish(stage.name("x"), b"")
    await peer.until_closed(HELD_AT_MOST_S)
    finished(peer, "protocol")


@row
async def a_close_with_code_0_is_a_normal_end(stage: Stage) -> None:
    sample = 'macula_gateway_connections_closed_total{reason="normal"}'
    before = (await stage.metrics()).get(sample, 0.0)
    count = 3
    for _ in range(count):
        peer = await stage.peer()
        await peer.leave()
    await until_counted(stage, sample, before + count)


async def until_counted(stage: Stage, sample: str, value: float) -> None:
    end = time.monotonic() + 10.0
    while (found := (await stage.metrics()).get(sample, 0.0)) < value:
        expect(time.monotonic() < end, f"{sample} is {found}, not {value}")
        await asyncio.sleep(0.05)


@row
async def peers_of_one_node_id_coexist(stage: Stage) -> None:
    first = await stage.peer("first")
    second = await stage.peer("second", node_id=first.node_id)
    await first.confirm()
    await second.confirm()
    first.check_connected()


async def the_gateway_ends_every_stream_when_it_stops(stage: Stage) -> None:
    """No row: it is the last check of all."""
    if stage.given.pid is None:
        raise Skipped("it stops the gateway: --pid")
    peers = [await stage.peer(f"peer {number}", patient=True) for number in range(8)]
    os.kill(stage.given.pid, signal.SIGTERM)
    for peer in peers:
        await peer.until_closed(HELD_AT_MOST_S)
        finished(peer, "draining")


def finished(peer: Peer, reason: str | None = None) -> None:
    """The gateway ended the stream, and only then the connection."""
    order = list(peer.ending)
    expect(order[-2:] == ["fin", "close"], f"{peer.name} saw {peer.end()}: no FIN before the close")
    if reason is not None:
        said = peer.goodbye and peer.goodbye.get("reason")
        expect(said == reason.encode(), f"{peer.name} was told {said}, not {reason}")
        expect(order[0] == "disconnect", f"{peer.name} saw {peer.end()}")


def ended_normally(peer: Peer) -> None:
    if peer.place.transport == "quic":
        expect(peer.how_closed.startswith("closed with 0x0 "), f"the connection was {peer.how_closed}")
