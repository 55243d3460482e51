"""The gateway's own command line client beside peers. It knows the options of `gateway client`."""

import asyncio

from peer import Failure
from stage import Skipped, Stage, expect, row
from wire import Packed, pack
from rows.calls import TERMS


async def client(stage: Stage, command: str, *words: str) -> tuple[int, str]:
    """Runs `gateway client COMMAND` to its end: its exit code and all that it printed."""
    if stage.given.gateway is None:
        raise Skipped("it runs the command line client: --gateway")
    place = stage.place
    where = ["--server", f"{place.host}:{place.port}", "--realm", place.realm, "--ca", place.ca]
    if place.transport == "tcp":
        where.append("--tcp")
    process = await asyncio.create_subprocess_exec(
        stage.given.gateway, "client", command, *where, *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(30):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise Failure(f"gateway client {command} did not end within 30 s") from None
    return process.returncode, printed.decode(errors="replace")


@row
async def no_two_messages_of_the_command_line_client_have_one_id(stage: Stage) -> None:
    subscriber = await stage.peer("subscriber")
    await subscriber.subscribe(stage.name("id"))
    runs = 4
    for _ in range(runs):
        code, printed = await client(stage, "pub", stage.name("id"), "x")
        expect(code == 0, f"it ended with {code}: {printed}")
    await subscriber.until("all messages", lambda: len(subscriber.deliveries) == runs)
    ids = [one["message_id"].hex() for one in subscriber.deliveries]
    expect(len(set(ids)) == runs, f"the ids are {ids}")


@row
async def the_command_line_client_reads_results_of_any_term(stage: Stage) -> None:
    provider = await stage.peer("provider")
    wrong = []
    for number, (name, term) in enumerate(TERMS.items()):
        procedure = stage.name(str(number))
        await provider.serve(procedure, lambda call, term=term: {"result": Packed(term)})
        code, printed = await client(stage, "call", procedure, "{}", "--output", "json")
        if code != 0:
            wrong.append(f"{name}: exit code {code}: {printed[:200].strip()}")
    expect(not wrong, "; ".join(wrong))


@row
async def the_command_line_client_tells_an_error_without_message(stage: Stage) -> None:
    provider = await stage.peer("provider")
    await provider.serve(stage.name("gone"), lambda call: {"error": {"code": "not_found"}})
    code, printed = await client(stage, "call", stage.name("gone"), "{}")
    expect(code == 1 and "not_found" in printed, f"it ended with {code}: {printed}")


@row
async def the_command_line_client_survives_a_relays_answer_for_an_unknown_procedure(stage: Stage) -> None:
    # Upstream's relay says so by a result that is a map with an error.
    provider = await stage.peer("provider")
    answer = Packed(pack({"error": {"code": "not_found", "message": "no handler"}}))
    await provider.serve(stage.name("relay"), lambda call: {"result": answer})
    code, printed = await client(stage, "call", stage.name("relay"), "{}")
    expect(code in (0, 1) and "not_found" in printed, f"it ended with {code}: {printed}")
