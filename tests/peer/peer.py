"""A peer that behaves as upstream's Erlang clients do. It knows the wire, and nothing of what is checked with it."""

import asyncio
import base64
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from link import Link, open_link
from wire import Frame, Kind, Packed, Reader, WireError, check_text, message, pack

# How long anything may take that a gateway does at once.
LIMIT_S = 10.0
HEARTBEAT_TOPIC = b"_mesh.relay.ping"

Handler = Callable[[Frame], dict[str, Any] | None]


class Failure(Exception):
    """The gateway did not do what it must."""


@dataclass(frozen=True)
class Place:
    """Where the gateway is, and how often a peer's heart beats."""

    host: str
    port: int
    transport: str
    ca: str
    realm: str
    heartbeat_s: float


class Peer:
    """A patient one leaves it to the gateway to close the connection after FIN; upstream's closes at once."""

    def __init__(self, place: Place, name: str = "peer", patient: bool = False) -> None:
        self.place = place
        self.name = name
        self.node_id = os.urandom(32)
        self.deliveries: list[Frame] = []
        self.casts: list[Frame] = []
        # Replies that no call waited for.
        self.strays: list[Frame] = []
        self.handlers: dict[bytes, Handler] = {}
        self.heartbeats = 0
        # What the gateway did to end the connection, in its order, and when: "disconnect", "fin", "close".
        self.ending: dict[str, float] = {}
        self.goodbye: Frame | None = None
        self.how_closed = ""
        self.pongs: list[Any] = []
        self._patient = patient
        self._link: Link | None = None
        self._reader = Reader()
        self._replies: dict[bytes, asyncio.Future[Frame]] = {}
        self._news = asyncio.Event()
        self._heart: asyncio.Task[None] | None = None
        self._broken: Exception | None = None

    async def open(self) -> None:
        """The connection alone, without a CONNECT."""
        place = self.place
        async with asyncio.timeout(LIMIT_S):
            self._link = await open_link(place.transport, place.host, place.port, place.ca, self)

    async def join(self, **changed: Any) -> None:
        """Sends CONNECT as upstream's node does and waits for the PONG that confirms it."""
        self.write(self.connect_frame(**changed))
        await self.until("the PONG that confirms CONNECT", lambda: self.pongs)

    def connect_frame(self, **changed: Any) -> bytes:
        fields = {
            "capabilities": ["pubsub", "rpc"],
            "endpoint": "https://127.0.0.1:9543",
            "node_id": self.node_id,
            "node_name": self.name,
            "realm_id": self.place.realm,
            "target_relay": self.place.host,
            "type": "node",
            "version": "1.0",
        }
        return message(Kind.CONNECT, **(fields | changed))

    def write(self, data: bytes) -> None:
        self._link.write(data)

    def publish(self, topic: Any, payload: bytes, **changed: Any) -> None:
        """With every field."""
        fields = {"qos": 0, "retain": False, "message_id": os.urandom(16)}
        self.publish_barely(topic, payload, **(fields | changed))

    def publish_barely(self, topic: Any, payload: bytes, **fields: Any) -> None:
        """With no qos, retain and message_id but those that are given."""
        self.write(message(Kind.PUBLISH, topic=topic, payload=payload, **fields))

    async def subscribe(self, *patterns: Any) -> None:
        self.write(message(Kind.SUBSCRIBE, topics=list(patterns), qos=0))
        await self.confirm()

    async def unsubscribe(self, *patterns: Any) -> None:
        self.write(message(Kind.UNSUBSCRIBE, topics=list(patterns)))
        await self.confirm()

    async def serve(self, procedure: str, handler: Handler) -> None:
        """`handler` returns the fields of the REPLY, or nothing for none."""
        self.handlers[procedure.encode()] = handler
        self.write(message(Kind.REGISTER_PROCEDURE, procedure=procedure))
        await self.confirm()

    def cast(self, procedure: str, args: Any) -> None:
        self.write(message(Kind.CAST, procedure=procedure, args=args))

    async def call(self, procedure: str, args: Any, call_id: bytes | None = None, **fields: Any) -> Frame:
        """The REPLY. Its id is, unless one is given, as upstream's newest: 16 letters of base64."""
        call_id = base64.b64encode(os.urandom(12)) if call_id is None else call_id
        reply = self._replies[call_id] = asyncio.get_running_loop().create_future()
        self.write(message(Kind.CALL, procedure=procedure, args=args, call_id=call_id, **fields))
        try:
            await self.until(f"the reply of {procedure}", reply.done)
        finally:
            del self._replies[call_id]
        return reply.result()

    async def confirm(self) -> None:
        """Frames of one connection are processed in order: a PONG confirms all before it."""
        timestamp = time.time_ns()
        self.write(message(Kind.PING, timestamp=timestamp))
        await self.until("a PONG", lambda: timestamp in self.pongs)

    async def until(self, what: str, found: Callable[[], Any], limit_s: float = LIMIT_S) -> None:
        """Waits until something is true that only the gateway can make true."""
        try:
            async with asyncio.timeout(limit_s):
                while not found():
                    if self._broken:
                        raise Failure(f"{what}: {self._broken}")
                    if "close" in self.ending:
                        raise Failure(f"{what}: {self.name} lost its connection: {self.end()}")
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Failure(f"{what}: not within {limit_s} s; {self.name} was told {self.end()}") from None

    async def until_closed(self, limit_s: float = LIMIT_S) -> None:
        await self.until("the end of the connection", lambda: "close" in self.ending, limit_s)

    def heartbeat(self) -> bytes:
        """What this peer's heartbeats hold, and no other's."""
        return pack({"node": self.node_id})

    def has_last(self, topic: str) -> bool:
        """Whether its newest message is of this topic."""
        return bool(self.deliveries) and self.deliveries[-1]["topic"] == topic.encode()

    def check_connected(self) -> None:
        """Fails where the gateway began to end the connection or wrote what the protocol does not allow."""
        if self._broken or self.ending:
            raise Failure(f"{self.name}: {self._broken or self.end()}")

    def end(self) -> str:
        """How the connection ended, for a person."""
        if not self.ending:
            return "nothing of an end"
        said = self.goodbye and {key: self.goodbye.get(key) for key in ("reason", "message")}
        return f"{', '.join(self.ending)} ({said}; {self.how_closed})"

    def finish(self) -> None:
        self._stop_heart()
        self._link.finish()

    def hang_up(self) -> None:
        """Closes with the application's code 0, without a word."""
        self._stop_heart()
        self._link.end()

    async def leave(self) -> None:
        self._stop_heart()
        if self._link:
            async with asyncio.timeout(LIMIT_S):
                await self._link.ended()

    # What the connection tells.

    def received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                self._take(frame)
        except WireError as error:
            self._broken = error
        self._news.set()

    def stream_ended(self) -> None:
        self._told("fin")
        self._stop_heart()
        if not self._patient:
            self._link.end()

    def closed(self, how: str) -> None:
        self.how_closed = how
        self._stop_heart()
        self._told("close")

    def _told(self, what: str) -> None:
        self.ending.setdefault(what, time.monotonic())
        self._news.set()

    def _take(self, frame: Frame) -> None:
        check_text(frame)
        match frame.kind:
            case Kind.PUBLISH:
                self.deliveries.append(frame)
            case Kind.CALL:
                self._answer(frame)
            case Kind.CAST:
                self.casts.append(frame)
            case Kind.REPLY:
                reply = self._replies.get(frame["call_id"])
                if reply is None or reply.done():
                    self.strays.append(frame)
                else:
                    reply.set_result(frame)
            case Kind.PING:
                self.write(
                    message(Kind.PONG, timestamp=frame["timestamp"], server_time=erlang_time())
                )
            case Kind.PONG:
                self.pongs.append(frame.get("timestamp"))
                if self._heart is None:
                    self._heart = asyncio.create_task(self._beat())
            case Kind.DISCONNECT:
                self.goodbye = frame
                self._told("disconnect")
            case _:
                raise WireError(f"a gateway does not send {frame}")

    def _answer(self, frame: Frame) -> None:
        handler = self.handlers.get(frame["procedure"])
        # So answers upstream where a procedure was advertised once and is no more.
        fields = handler(frame) if handler else {"error": {"code": "not_found"}}
        if fields is not None:
            self.write(message(Kind.REPLY, call_id=frame["call_id"], **fields))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.place.heartbeat_s)
            if self.heartbeats:
                try:
                    await self.confirm()
                except Failure as failure:
                    self._broken = self._broken or failure
                    return
            self.publish_barely(HEARTBEAT_TOPIC, self.heartbeat(), message_id=os.urandom(12))
            self.heartbeats += 1

    def _stop_heart(self) -> None:
        if self._heart:
            self._heart.cancel()


def erlang_time() -> int:
    """Erlang's monotonic time in milliseconds: it begins far below zero."""
    return -576_460_751_000 + time.monotonic_ns() // 1_000_000


def echo(call: Frame) -> dict[str, Any]:
    """Gives the packed bytes of `args` back."""
    return {"result": Packed(call.packed()["args"])}
