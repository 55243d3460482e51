"""Frames and MessagePack: what a gateway must read, and what it must pass over."""

import asyncio
import hashlib
import os
import random

from peer import HEARTBEAT_TOPIC, Failure, Peer, erlang_time
from stage import Stage, each, expect, row
from wire import Frame, Kind, Packed, frame, message, pack, pack_str

# Types that no gateway serves: streams between nodes, SWIM, lookups, and some that nobody has taken yet.
UNKNOWN_KINDS = [*range(0x27, 0x2C), *range(0x30, 0x33), *range(0x40, 0x44)]
UNKNOWN_KINDS += [0x00, 0x05, 0x0F, 0x13, 0x23, 0x7F, 0x80, 0xFF]


@row
async def frames_are_understood_one_byte_at_a_time(stage: Stage) -> None:
    publisher, subscriber = await stage.visitor("publisher"), await stage.peer("subscriber")
    topic = stage.name("split")
    await subscriber.subscribe(topic)
    data = publisher.connect_frame() + publish_frame(topic, b"whole")
    for byte in data:
        publisher.write(bytes([byte]))
        await asyncio.sleep(0)
    await expect_payloads(stage, publisher, subscriber, [b"whole"])


@row
async def frames_are_understood_joined(stage: Stage) -> None:
    publisher, subscriber = await stage.visitor("publisher"), await stage.peer("subscriber")
    topic = stage.name("joined")
    await subscriber.subscribe(topic)
    payloads = [str(number).encode() for number in range(500)]
    publishes = b"".join(publish_frame(topic, payload) for payload in payloads)
    publisher.write(publisher.connect_frame() + publishes)
    await expect_payloads(stage, publisher, subscriber, payloads)


@row
async def frames_are_understood_in_pieces_of_any_length(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("pieces"))
    payloads = [os.urandom(length) for length in (0, 1, 255, 256, 65_535, 65_536, 200_000)]
    topic = stage.name("pieces")
    data = b"".join(publish_frame(topic, payload) for payload in payloads)
    lengths = random.Random(1)
    while data:
        length = lengths.choice((1, 3, 7, 8, 9, 1000, 20_000))
        publisher.write(data[:length])
        data = data[length:]
        await asyncio.sleep(0)
    await expect_payloads(stage, publisher, subscriber, payloads)


def publish_frame(topic: str, payload: bytes) -> bytes:
    return frame(Kind.PUBLISH, publish_payload(topic, payload))


def publish_payload(topic: str, payload: bytes) -> bytes:
    fields = {"topic": topic, "payload": payload, "qos": 0, "retain": False}
    return pack(fields | {"message_id": os.urandom(16)})


async def expect_payloads(stage: Stage, publisher: Peer, subscriber: Peer, payloads: list[bytes]) -> None:
    delivered = [one["payload"] for one in await stage.delivered(publisher, subscriber)]
    expect(delivered == payloads, f"{len(delivered)} of {len(payloads)} arrived, or not as they were")


@row
async def flags_and_the_reserved_byte_are_ignored(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("flags"))
    publish = publish_payload(stage.name("flags"), b"1")
    publisher.write(frame(Kind.PUBLISH, publish, flags=0xFF, reserved=0xFF))
    await expect_payloads(stage, publisher, subscriber, [b"1"])


@row
async def keys_and_text_may_be_str_as_well_as_bin(stage: Stage) -> None:
    peer, publisher = await stage.visitor("peer"), await stage.peer("publisher")
    connect = {
        "version": "1.0",
        "node_id": peer.node_id,
        "realm_id": stage.place.realm,
        "capabilities": ["pubsub", "rpc"],
    }
    peer.write(frame(Kind.CONNECT, pack_str(connect)))
    peer.write(frame(Kind.SUBSCRIBE, pack_str({"topics": [stage.name("str")], "qos": 0})))
    await peer.confirm()
    publisher.publish(stage.name("str"), b"1")
    await expect_payloads(stage, publisher, peer, [b"1"])


@row
async def what_the_gateway_writes_has_its_keys_and_text_as_bin(stage: Stage) -> None:
    # A peer looks at this in every frame. Here one of each type comes.
    publisher, subscriber = await stage.pair(stage.name("bin"))
    publisher.publish(stage.name("bin"), b"1")
    await expect_payloads(stage, publisher, subscriber, [b"1"])
    await subscriber.serve(stage.name("bin"), lambda call: {"result": b"{}"})
    await publisher.call(stage.name("bin"), b"{}")
    await publisher.call(stage.name("nobody"), b"{}")
    stranger = await stage.visitor("stranger", patient=True)
    stranger.write(message(Kind.PING, timestamp=1))
    await stranger.until_closed()


@row
async def keys_may_come_in_any_order_and_unknown_ones_are_ignored(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("order"))
    # In the order of their names, as Erlang's small maps are, and with two more.
    fields = {"message_id": os.urandom(16), "payload": b"1", "qos": 0, "retain": False}
    fields |= {"topic": stage.name("order"), "x": [1, {"y": None}], "z": b""}
    publisher.write(frame(Kind.PUBLISH, pack(fields)))
    await expect_payloads(stage, publisher, subscriber, [b"1"])


@row
async def an_empty_list_may_be_an_empty_string(stage: Stage) -> None:
    peer = await stage.peer(capabilities=[])
    expect(b"\xa0" in peer.connect_frame(capabilities=[]), "this peer packs an empty list otherwise")
    await peer.subscribe()
    await peer.unsubscribe()
    peer.check_connected()


@row
async def a_realm_may_be_named_by_its_hash_or_untidily(stage: Stage) -> None:
    realm = stage.place.realm

    async def join(named: object) -> None:
        await stage.peer(realm_id=named)

    await each(
        {
            "its SHA-256": join(hashlib.sha256(realm.encode()).digest()),
            "in capitals": join(realm.upper()),
            "with blanks around": join(f"  {realm} "),
        }
    )


@row
async def a_pong_may_have_a_negative_server_time_or_none(stage: Stage) -> None:
    peer = await stage.peer()
    peer.write(message(Kind.PONG, timestamp=1, server_time=erlang_time()))
    peer.write(message(Kind.PONG, timestamp=1, server_time=-(2**63)))
    peer.write(message(Kind.PONG, timestamp=1))
    await peer.confirm()
    peer.check_connected()


@row
async def frames_of_unknown_types_are_skipped_by_their_length(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("skipped"))
    stream = {"stream_id": os.urandom(16), "procedure": "_mesh.stream", "args": {}, "mode": "server_stream"}
    payloads = [pack(stream), b"", b"\xc1", b"\x01\x10\x00\x00" * 64, os.urandom(100_000)]
    for kind in UNKNOWN_KINDS:
        for payload in payloads[: 5 if kind == 0x27 else 4]:
            publisher.write(frame(kind, payload))
    publisher.publish(stage.name("skipped"), b"behind them")
    await expect_payloads(stage, publisher, subscriber, [b"behind them"])


@row
async def frames_of_unknown_types_are_counted(stage: Stage) -> None:
    peer = await stage.peer()
    count = 137
    before = await stage.metrics()
    for number in range(count):
        peer.write(frame(0x27 + number % 5, pack({"stream_id": number})))
    await peer.confirm()
    after = await stage.metrics()
    grown = [name for name in after if after[name] - before.get(name, 0.0) == count]
    expect(grown, f"no counter at /metrics grew by {count}")


@row
async def what_cannot_be_understood_is_passed_over(stage: Stage) -> None:
    topic = stage.name("alive")
    not_utf8 = Packed(b"\xc4\x02\xff\xfe")
    calling = {"procedure": topic, "args": {}, "call_id": b"x"}
    cases = {
        "a payload of no bytes": frame(Kind.PUBLISH, b""),
        "a payload that is no MessagePack": frame(Kind.PUBLISH, b"\xc1\xc1"),
        "a payload that is cut short": frame(Kind.PUBLISH, pack({"topic": topic, "payload": b"123"})[:-1]),
        "a payload that is an array": frame(Kind.PUBLISH, pack(["topic", "payload"])),
        "a payload that is nil": frame(Kind.SUBSCRIBE, pack(None)),
        "bytes behind the map": frame(Kind.PUBLISH, pack({"topic": topic, "payload": b""}) + b"\x00"),
        "PUBLISH without topic": message(Kind.PUBLISH, payload=b""),
        "PUBLISH without payload": message(Kind.PUBLISH, topic=topic),
        "PUBLISH with a number as topic": message(Kind.PUBLISH, topic=7, payload=b""),
        "PUBLISH with a control character in the topic": message(Kind.PUBLISH, topic="a\n.b", payload=b""),
        "PUBLISH with a topic that is no UTF-8": message(Kind.PUBLISH, topic=not_utf8, payload=b""),
        "PUBLISH with a map as payload": message(Kind.PUBLISH, topic=topic, payload={"a": 1}),
        "PUBLISH with qos 7": message(Kind.PUBLISH, topic=topic, payload=b"", qos=7),
        "PUBLISH with retain as a number": message(Kind.PUBLISH, topic=topic, payload=b"", retain=1),
        "PUBLISH with a number as message_id": message(Kind.PUBLISH, topic=topic, payload=b"", message_id=9),
        "SUBSCRIBE without topics": message(Kind.SUBSCRIBE, qos=0),
        "SUBSCRIBE with one topic that is no list": message(Kind.SUBSCRIBE, topics="a.b", qos=0),
        "SUBSCRIBE with a number among topics": message(Kind.SUBSCRIBE, topics=["a", 1], qos=0),
        "SUBSCRIBE with a control character in a topic": message(Kind.SUBSCRIBE, topics=["a\x00"], qos=0),
        "UNSUBSCRIBE from what it did not subscribe to": message(Kind.UNSUBSCRIBE, topics=["x.y"]),
        "UNSUBSCRIBE without topics": message(Kind.UNSUBSCRIBE),
        "CALL without procedure": message(Kind.CALL, args={}, call_id=b"x"),
        "CALL without args": message(Kind.CALL, procedure=topic, call_id=b"x"),
        "CALL without call_id": message(Kind.CALL, procedure=topic, args={}),
        "CALL with a negative timeout": message(Kind.CALL, timeout=-1, **calling),
        "CALL with a map as procedure": message(Kind.CALL, **(calling | {"procedure": {}})),
        "REPLY to a call that was not asked": message(Kind.REPLY, call_id=os.urandom(16), result=1),
        "REPLY with neither result nor error": message(Kind.REPLY, call_id=b"x"),
        "REPLY with text as error": message(Kind.REPLY, call_id=b"x", error="boom"),
        "CAST to nobody": message(Kind.CAST, procedure=stage.name("nobody"), args={}),
        "CAST without procedure": message(Kind.CAST, args={}),
        "REGISTER_PROCEDURE without procedure": message(Kind.REGISTER_PROCEDURE),
        "REGISTER_PROCEDURE with a control character": message(Kind.REGISTER_PROCEDURE, procedure="a\t"),
        "PING without timestamp": message(Kind.PING),
        "PONG of nothing": frame(Kind.PONG, pack({})),
    }

    async def survives(data: bytes) -> None:
        peer = await stage.peer()
        try:
            peer.write(data)
            await peer.confirm()
            peer.check_connected()
        except Failure as failure:
            raise Failure(f"{failure} after {data.hex()}") from None

    await each({name: survives(data) for name, data in cases.items()})


@row
async def a_heartbeat_is_a_message_like_any_other(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(HEARTBEAT_TOPIC.decode())
    message_id = os.urandom(12)
    publisher.publish_barely(HEARTBEAT_TOPIC, b"beat", message_id=message_id)
    arrived: list[Frame] = await stage.delivered(publisher, subscriber)
    beats = [one for one in arrived if one["payload"] == b"beat"]
    expect(len(beats) == 1, f"{len(beats)} arrived")
    publisher.check_connected()
