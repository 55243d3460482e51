"""Topics, patterns, subscriptions, and what a message carries."""

import base64
import os

from peer import Failure
from stage import Stage, each, expect, row

# Each begins with a segment of its check.
ODD_TOPICS = [
    "sensor:1.temperature",
    "user@host.example",
    "a+b.c+",
    "key=value.k==",
    "~home.~",
    "two words. leading and trailing ",
    "be.cortexiq.energy/acme/app/home/stay_v1",
    "größe.温度.🌡",
    "e\u0301.combining",
    "b*.*b.a*b",
    "b#.#b.**b.***",
    "(x)[y]{z}|\\^$%&!?;,'\"<>`",
    "_under-score.MiXeD.Case",
    "x" * 200,
]

EMPTY_SEGMENTS = ["a..b", "..a", "a..", "...."]


@row
async def a_topic_of_any_letters_arrives_unchanged(stage: Stage) -> None:
    await each({topic: passes(stage, stage.name(topic)) for topic in ODD_TOPICS})


@row
async def a_topic_may_begin_with_any_letter(stage: Stage) -> None:
    topics = [f"{first}{stage.prefix}.x" for first in (":", "@", "+", "=", "~", " ", "/", "é", "_", ".")]
    await each({topic: passes(stage, topic) for topic in topics})


@row
async def topics_have_empty_segments(stage: Stage) -> None:
    await each({topic: passes(stage, stage.name(topic)) for topic in EMPTY_SEGMENTS})


@row
async def topics_of_erlang_distribution_pass(stage: Stage) -> None:
    # 16, 17 and 18 bytes in base64 end with ==, = and none; + and / occur.
    links = [base64.b64encode(b"\xfb\xff" + os.urandom(length)).decode() for length in (14, 15, 16)]
    topics = [f"_dist.data.{link}.{way}" for link in links for way in ("in", "out")]
    await each({topic: passes(stage, topic) for topic in topics})


async def passes(stage: Stage, topic: str) -> None:
    publisher, subscriber = await stage.pair(topic)
    payload = os.urandom(8)
    publisher.publish(topic, payload)
    got = [(one["topic"], one["payload"]) for one in await stage.delivered(publisher, subscriber)]
    expect(got == [(topic.encode(), payload)], f"got {got}")


@row
async def only_a_whole_segment_is_a_wildcard(stage: Stage) -> None:
    await matches(
        stage,
        {
            "*": (["a", "b*", ""], ["a.b"]),
            "a.*": (["a.b", "a.b*", "a."], ["a", "a.b.c"]),
            "*.b": (["a.b", ".b"], ["b", "a.a.b"]),
            "a.*.c": (["a.b.c", "a..c"], ["a.c", "a.b.b.c"]),
            "b*": (["b*"], ["b", "bc", "b.c"]),
            "*b": (["*b"], ["b", "ab"]),
            "a*c": (["a*c"], ["abc", "a.c"]),
            "b#": (["b#"], ["b", "bc", "b.c"]),
            "b**": (["b**"], ["b", "b*", "b.c"]),
            "***": (["***"], ["a", "a.b"]),
        },
    )


@row
async def two_stars_and_a_hash_are_any_number_of_segments(stage: Stage) -> None:
    await matches(
        stage,
        {
            f"{before}{any_number}{after}": expected
            for any_number in ("**", "#")
            for before, after, expected in (
                ("a.", "", (["a", "a.b", "a.b.c.d", "a..b", "a."], ["b", "b.a"])),
                ("a.", ".z", (["a.z", "a.b.z", "a.b.c.z", "a..z", "a.z.z"], ["a", "z", "a.z.b"])),
                ("a.", ".m.*", (["a.m.x", "a.b.c.m.x"], ["a.m", "a.b.m.x.y"])),
            )
        },
    )


async def matches(stage: Stage, table: dict[str, tuple[list[str], list[str]]]) -> None:
    """Each pattern with topics that it matches and topics that it does not."""

    async def one(number: int, pattern: str, fit: list[str], others: list[str]) -> None:
        begin = f"{stage.prefix}-{number}."
        publisher, subscriber = await stage.pair(begin + pattern)
        for topic in fit + others:
            publisher.publish(begin + topic, b"")
        delivered = await stage.delivered(publisher, subscriber)
        got = [found["topic"].decode().removeprefix(begin) for found in delivered]
        expect(got == fit, f"of {fit + others} it got {got}, not {fit}")

    await each({pattern: one(number, pattern, *topics) for number, (pattern, topics) in enumerate(table.items())})


@row
async def two_stars_alone_are_every_topic(stage: Stage) -> None:
    publisher, subscriber = await stage.pair("**")
    topics = [stage.name(topic) for topic in ("a", "a..b", "größe")]
    for topic in topics:
        publisher.publish(topic, b"")
    got = [one["topic"].decode() for one in await stage.delivered(publisher, subscriber)]
    # Others' messages are every topic too.
    got = [topic for topic in got if topic.startswith(stage.prefix)]
    expect(got == topics, f"got {got}")


@row
async def subscribing_twice_and_unsubscribing_once_leaves_one_subscription(stage: Stage) -> None:
    for pattern in ("a", "*", "**"):
        topic = stage.name("a")
        publisher, subscriber = await stage.pair(stage.name(pattern))
        await subscriber.subscribe(stage.name(pattern))

        async def count() -> int:
            publisher.publish(topic, b"")
            return sum(one["topic"] == topic.encode() for one in await stage.delivered(publisher, subscriber))

        expect(await count() == 1, f"subscribed to {pattern} twice, a message did not arrive once")
        await subscriber.unsubscribe(stage.name(pattern))
        expect(await count() == 1, f"subscribed to {pattern} twice and unsubscribed once, nothing arrived")
        await subscriber.unsubscribe(stage.name(pattern))
        expect(await count() == 0, f"unsubscribed from {pattern} twice, a message arrived")
        await subscriber.unsubscribe(stage.name(pattern))
        await subscriber.subscribe(stage.name(pattern))
        expect(await count() == 1, f"unsubscribed from {pattern} once too often, it cannot subscribe again")


@row
async def overlapping_patterns_deliver_once_and_never_to_the_publisher(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(*(stage.name(pattern) for pattern in ("a", "*", "#", "**")))
    await publisher.subscribe(stage.name("**"))
    publisher.publish(stage.name("a"), b"once")
    got = [one["payload"] for one in await stage.delivered(publisher, subscriber)]
    # The last message that `delivered` publishes matches the patterns too.
    expect(got == [b"once"], f"the subscriber got {got}")
    expect(not publisher.deliveries, "the publisher got its own message")


@row
async def a_message_id_of_any_length_or_none_arrives_as_a_fresh_one_of_16_bytes(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("id"))
    sent = [b"\x01", b"\x01", os.urandom(12), os.urandom(12), b"", os.urandom(64)]
    for message_id in sent:
        publisher.publish(stage.name("id"), b"", message_id=message_id)
    publisher.publish_barely(stage.name("id"), b"", qos=0, retain=False)
    got = [one["message_id"] for one in await stage.delivered(publisher, subscriber)]
    expect(len(got) == len(sent) + 1, f"{len(got)} of {len(sent) + 1} messages arrived")
    expect(all(len(one) == 16 for one in got), f"the ids are {[one.hex() for one in got]}")
    expect(len(set(got)) == len(got), f"one id is there twice: {[one.hex() for one in got]}")


@row
async def a_message_id_of_16_bytes_passes_through(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("id"))
    message_id = os.urandom(16)
    publisher.publish(stage.name("id"), b"", message_id=message_id)
    got = [one["message_id"] for one in await stage.delivered(publisher, subscriber)]
    expect(got == [message_id], f"got {got}")


@row
async def qos_and_retain_are_0_and_false_where_they_are_missing(stage: Stage) -> None:
    publisher, subscriber = await stage.pair(stage.name("missing"))
    publisher.publish_barely(stage.name("missing"), b"")
    publisher.publish_barely(stage.name("missing"), b"", qos=1)
    publisher.publish_barely(stage.name("missing"), b"", retain=False)
    got = [(one["qos"], one["retain"]) for one in await stage.delivered(publisher, subscriber)]
    expect(got == [(0, False), (1, False), (0, False)], f"got {got}")
    late = await stage.peer("late")
    await late.subscribe(stage.name("missing"))
    expect(await stage.delivered(publisher, late) == [], "a message without retain was retained")


@row
async def the_last_retained_message_reaches_a_later_subscriber(stage: Stage) -> None:
    topics = [stage.name(topic) for topic in ("kept", "größe: ~ /", "a..b")]

    async def one(topic: str) -> None:
        publisher = await stage.peer("publisher")
        for payload in (b"1", b"2"):
            publisher.publish(topic, payload, retain=True)
        await publisher.confirm()
        late = await stage.peer("late")
        await late.subscribe(topic)
        got = [found["payload"] for found in await stage.delivered(publisher, late)]
        if got != [b"2"]:
            raise Failure(f"got {got}")

    await each({topic: one(topic) for topic in topics})
