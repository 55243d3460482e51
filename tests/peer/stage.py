"""What a check has to work with: a gateway, fresh peers that leave afterwards, names that no other check uses."""

import asyncio
import itertools
import os
import urllib.request
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from peer import Failure, Peer, Place
from wire import Frame


class Skipped(Exception):
    """The check needs something that it was not given."""


@dataclass(frozen=True)
class Given:
    """What the command line gave."""

    place: Place
    health: str | None
    gateway: str | None
    pid: int | None
    seconds: float


@dataclass
class Stage:
    given: Given
    peers: list[Peer] = field(default_factory=list)
    prefix: str = field(default_factory=lambda: f"peer{os.urandom(4).hex()}")
    _marks: Any = field(default_factory=itertools.count)

    @property
    def place(self) -> Place:
        return self.given.place

    def name(self, rest: str) -> str:
        """A topic or a procedure of this check alone."""
        return f"{self.prefix}.{rest}"

    async def visitor(self, name: str = "peer", patient: bool = False) -> Peer:
        """A peer that has not said CONNECT yet."""
        peer = Peer(self.place, name, patient)
        self.peers.append(peer)
        await peer.open()
        return peer

    async def peer(self, name: str = "peer", patient: bool = False, **changed: Any) -> Peer:
        peer = await self.visitor(name, patient)
        await peer.join(**changed)
        return peer

    async def pair(self, *patterns: str) -> tuple[Peer, Peer]:
        """A publisher and a subscriber of these patterns."""
        publisher, subscriber = await self.peer("publisher"), await self.peer("subscriber")
        if patterns:
            await subscriber.subscribe(*patterns)
        return publisher, subscriber

    async def delivered(self, publisher: Peer, subscriber: Peer) -> list[Frame]:
        """All that the subscriber gets of what the publisher has published: a last message is behind it."""
        mark = self.name(f"mark{next(self._marks)}")
        await subscriber.subscribe(mark)
        publisher.publish(mark, b"")
        await publisher.confirm()
        await subscriber.until("the last message", lambda: subscriber.has_last(mark))
        delivered, subscriber.deliveries = subscriber.deliveries[:-1], []
        return delivered

    async def metrics(self) -> dict[str, float]:
        """Each sample by its name, the sum of all labels, and by its name with labels."""
        if self.given.health is None:
            raise Skipped("it reads counters: --health")
        url = f"http://{self.given.health}/metrics"
        text = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read().decode())
        samples: dict[str, float] = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                full, value = line.rsplit(" ", 1)
                name = full.split("{")[0]
                samples[full] = float(value)
                if name != full:
                    samples[name] = samples.get(name, 0.0) + float(value)
        return samples

    async def leave(self) -> None:
        await asyncio.gather(*(peer.leave() for peer in self.peers), return_exceptions=True)


Check = Callable[[Stage], Awaitable[None]]

# All checks, in their order.
ROWS: list[Check] = []


def row(check: Check) -> Check:
    """Its name is a sentence that says what must be true."""
    ROWS.append(check)
    return check


def expect(holds: Any, why: str) -> None:
    if not holds:
        raise Failure(why)


async def each(cases: dict[str, Awaitable[None]]) -> None:
    """All cases at once; fails with all that failed."""
    results = await asyncio.gather(*cases.values(), return_exceptions=True)
    failed = [f"{name}: {result}" for name, result in zip(cases, results) if isinstance(result, Exception)]
    expect(not failed, "; ".join(failed))
