"""Calls, replies and casts: any term passes as it was packed, and each answer finds its caller."""

import asyncio
import itertools
import os
import time

import msgpack

from peer import Handler, Peer, echo
from stage import Stage, each, expect, row
from wire import Frame, Kind, Packed, message, pack, pack_str

DEEP = Packed(b"\x81\xc4\x01a" * 40 + b"\xc0")

# Terms as they lie on the wire, among them such as a packer would write otherwise.
TERMS = {
    "a map of bin": pack({"a": 1, "b": [1, 2, {"c": None}]}),
    "an empty map": b"\x80",
    "an empty list of upstream": pack([]),
    "an empty array": b"\x90",
    "nil": b"\xc0",
    "true": b"\xc3",
    "an integer": b"\x2a",
    "a negative integer": b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",
    "the largest integer": b"\xcf" + b"\xff" * 8,
    "an integer in a longer form": b"\xcd\x00\x01",
    "a float": b"\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00",
    "a float of 32 bits": b"\xca\x3f\xc0\x00\x00",
    "bin": pack(b"\x00\xff raw"),
    "bin in a longer form": b"\xc6\x00\x00\x00\x02ok",
    "an empty bin": pack(b""),
    "JSON": pack(b'{"a":1}'),
    "str": pack_str("größe"),
    "str that is no UTF-8": b"\xa2\xff\xfe",
    "a list": pack([1, "two", {"three": 3.0}]),
    "a map with keys of any type": b"\x84\x01\xc0\xc0\x01\x91\x02\x03\xc4\x01a\xa1a",
    "a map with one key twice": b"\x82\xc4\x01a\x01\xc4\x01a\x02",
    "an extension": msgpack.packb(msgpack.ExtType(5, b"erl")),
    "a time": msgpack.packb(msgpack.Timestamp(1, 2)),
    "a deep one": DEEP,
    "a large one": pack({"image": os.urandom(300_000)}),
}


@row
async def args_and_results_of_any_term_pass_as_they_were_packed(stage: Stage) -> None:
    async def passes(name: str, term: bytes) -> None:
        procedure = stage.name(name.replace(" ", "_"))
        caller, provider = await stage.peer("caller"), await stage.peer("provider")
        seen: list[Frame] = []
        await provider.serve(procedure, lambda call: seen.append(call) or {"result": Packed(term)})
        reply = await caller.call(procedure, Packed(term))
        got = seen[0].packed()["args"]
        expect(got == term, f"args {term[:40].hex()} became {got[:40].hex()}")
        result = reply.packed().get("result", b"")
        expect(result == term, f"the result {term[:40].hex()} became {result[:40].hex()} in {str(reply)[:200]}")

    await each({name: passes(name, term) for name, term in TERMS.items()})


@row
async def casts_carry_any_term(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    await provider.serve(stage.name("cast"), echo)
    for term in TERMS.values():
        caller.cast(stage.name("cast"), Packed(term))
    await caller.confirm()
    await provider.until("all casts", lambda: len(provider.casts) == len(TERMS))
    for (name, term), cast in zip(TERMS.items(), provider.casts):
        got = cast.packed()["args"]
        expect(got == term, f"{name}: {term[:40].hex()} became {got[:40].hex()}")


@row
async def call_ids_are_restored_where_callers_count_alike(stage: Stage) -> None:
    provider = await stage.peer("provider")
    waiting: list[Frame] = []
    await provider.serve(stage.name("id"), lambda call: waiting.append(call))
    callers = [await stage.peer(f"caller {number}") for number in range(3)]
    ids = [b"1", b"", b"2", os.urandom(16), os.urandom(200)]
    asked = [f"{caller.name}, {call_id.hex()}".encode() for caller in callers for call_id in ids]

    # Each id from each caller at once, answered in the opposite order.
    async def answer() -> None:
        await provider.until("all calls", lambda: len(waiting) == len(asked))
        expect(len({call["call_id"] for call in waiting}) == len(asked), "two calls came with one call_id")
        for call in reversed(waiting):
            provider.write(message(Kind.REPLY, call_id=call["call_id"], **echo(call)))

    calls = [
        caller.call(stage.name("id"), args, call_id=call_id)
        for (caller, call_id), args in zip(itertools.product(callers, ids), asked)
    ]
    *replies, _ = await asyncio.gather(*calls, answer())
    got = [reply["result"] for reply in replies]
    expect(got == asked, f"asked {asked}, got {got}")
    no_strays(*callers)


@row
async def a_call_may_lack_a_timeout_and_have_further_keys(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    await provider.serve(stage.name("keys"), echo)
    for further in ({}, {"timeout": 5000}, {"target": os.urandom(32)}, {"_trace": {"id": b"1", "hops": []}}):
        reply = await caller.call(stage.name("keys"), b"1", **further)
        expect(reply.get("result") == b"1", f"{further}: {reply}")


@row
async def an_error_without_message_reaches_the_caller(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    await provider.serve(stage.name("gone"), echo)
    # It is advertised no more: the peer answers as upstream's does.
    provider.handlers.clear()
    reply = await caller.call(stage.name("gone"), b"{}")
    expect(error_of(reply).get(b"code") == b"not_found", f"the caller got {reply}")
    provider.check_connected()


@row
async def an_error_with_code_and_message_reaches_the_caller(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    error = {b"code": b"handler_error", b"message": "größe".encode()}
    await provider.serve(stage.name("fails"), lambda call: {"error": error})
    reply = await caller.call(stage.name("fails"), b"{}")
    expect(error_of(reply) == error, f"the caller got {reply}")


@row
async def an_unknown_procedure_is_answered_at_once(stage: Stage) -> None:
    caller = await stage.peer("caller")
    begin = time.monotonic()
    reply = await caller.call(stage.name("nobody"), b"{}")
    expect(error_of(reply).get(b"code") == b"no_such_procedure", f"the caller got {reply}")
    expect(time.monotonic() - begin < 2.0, "it took more than two seconds")


@row
async def procedures_of_the_mesh_answer_calls_with_maps(stage: Stage) -> None:
    caller = await stage.peer("caller")
    for procedure, args in (
        ("_mesh.list_nodes", {}),
        ("_mesh.list_nodes", {"realm": stage.place.realm, "limit": 10}),
        ("_mesh.resolve", {"node": caller.node_id}),
        ("_mesh.resolve", {"name": "node@host", "realm": stage.place.realm}),
    ):
        reply = await caller.call(procedure, args)
        answered = reply.packed().keys() & {"result", "error"}
        expect(len(answered) == 1, f"{procedure} of {args}: {reply}")
    caller.check_connected()


@row
async def a_call_whose_provider_goes_away_ends_with_an_error(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    await provider.serve(stage.name("leaves"), lambda call: provider.hang_up())
    reply = await caller.call(stage.name("leaves"), b"{}")
    expect(error_of(reply).get(b"code") == b"peer_disconnected", f"the caller got {reply}")


@row
async def a_second_reply_to_one_call_is_passed_over(stage: Stage) -> None:
    caller, provider = await stage.peer("caller"), await stage.peer("provider")
    await provider.serve(stage.name("twice"), twice(provider))
    for args in (b"1", b"2", b"3"):
        reply = await caller.call(stage.name("twice"), args)
        expect(reply.get("result") == args, f"the caller got {reply}")
    await provider.confirm()
    await caller.confirm()
    no_strays(caller)


def twice(provider: Peer) -> Handler:
    def answer(call: Frame) -> dict:
        provider.write(message(Kind.REPLY, call_id=call["call_id"], **echo(call)))
        return {"result": b"again"}

    return answer


def error_of(reply: Frame) -> dict:
    return reply.get("error") or {}


def no_strays(*callers: Peer) -> None:
    for caller in callers:
        strays = ", ".join(map(str, caller.strays))
        expect(not strays, f"{caller.name} got replies that it did not wait for: {strays}")
