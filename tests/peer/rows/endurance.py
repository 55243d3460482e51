"""Peers at work for a while, their hearts beating: nobody is thrown out, nothing is lost."""

import asyncio
import itertools
import time

from peer import HEARTBEAT_TOPIC, Peer, echo
from rows.calls import TERMS
from stage import Skipped, Stage, expect
from wire import Packed

MESSAGES_A_SECOND = 50
CALLS_A_SECOND = 20


async def peers_stay_connected_and_nothing_is_lost_or_reordered(stage: Stage) -> None:
    seconds = stage.given.seconds
    if not seconds:
        raise Skipped("--seconds is 0")
    names = ("publisher", "subscriber", "caller", "provider", "idle")
    publisher, subscriber, caller, provider, idle = [await stage.peer(name) for name in names]
    await subscriber.subscribe(stage.name("**"), HEARTBEAT_TOPIC)
    await provider.serve(stage.name("echo"), echo)

    end = time.monotonic() + seconds
    published, called = await asyncio.gather(publish(stage, publisher, end), call(stage, caller, end))

    # What each has published is with the gateway once its PONG is there.
    for peer in stage.peers:
        await peer.confirm()
    delivered = await stage.delivered(publisher, subscriber)
    for peer in stage.peers:
        peer.check_connected()
        expect(not peer.strays, f"{peer.name} got replies that it did not wait for")

    beats = [one for one in delivered if one["topic"] == HEARTBEAT_TOPIC]
    numbers = [int(one["payload"]) for one in delivered if one["topic"] != HEARTBEAT_TOPIC]
    expect(sorted(numbers) == list(range(published)), f"of {published} messages {len(set(numbers))} arrived")
    expect(numbers == list(range(published)), "messages changed their order")
    expect(called > 0, "no call was made")
    least = max(1, int(seconds / stage.place.heartbeat_s) - 2)
    for peer in stage.peers:
        expect(peer.heartbeats >= least, f"the heart of {peer.name} beat {peer.heartbeats} times, not {least}")
    # Peers of other checks may be there too. Each gets all but its own; one may be under way now.
    for peer in (publisher, caller, provider, idle):
        arrived = sum(one["payload"] == peer.heartbeat() for one in beats)
        fits = peer.heartbeats - 1 <= arrived <= peer.heartbeats
        expect(fits, f"of {peer.heartbeats} heartbeats of {peer.name} {arrived} arrived")


async def publish(stage: Stage, publisher: Peer, end: float) -> int:
    for number in itertools.count():
        if time.monotonic() >= end:
            return number
        publisher.check_connected()
        publisher.publish(stage.name(f"n.{number % 7}"), str(number).encode())
        await asyncio.sleep(1 / MESSAGES_A_SECOND)
    raise AssertionError("counting has no end")


async def call(stage: Stage, caller: Peer, end: float) -> int:
    for number, (name, term) in enumerate(itertools.cycle(TERMS.items())):
        if time.monotonic() >= end:
            return number
        reply = await caller.call(stage.name("echo"), Packed(term), timeout=10_000)
        got = reply.packed().get("result")
        expect(got == term, f"call {number} ({name}) was answered by {str(reply)[:200]}")
        await asyncio.sleep(1 / CALLS_A_SECOND)
    raise AssertionError("terms have no end")
