"""A peer of the macula mesh that shares no code with the gateway. It checks a running one, fact by fact."""

import argparse
import asyncio
import sys

from peer import Failure, Place
# Each adds its rows; this is their order.
from rows import frames, topics, calls, ends, programs, endurance  # noqa: F401
from stage import ROWS, Check, Given, Skipped, Stage

# The last one stops the gateway.
CHECKS: list[Check] = [
    *ROWS,
    endurance.peers_stay_connected_and_nothing_is_lost_or_reordered,
    ends.the_gateway_ends_every_stream_when_it_stops,
]

LONGEST_S = 120.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="peer", description=__doc__)
    parser.add_argument("--server", required=True, metavar="HOST:PORT", help="the gateway")
    parser.add_argument("--transport", choices=("quic", "tcp"), default="quic")
    parser.add_argument("--realm", default="be.cortexiq.energy")
    parser.add_argument("--ca", required=True, metavar="FILE", help="who signed the gateway's certificate, PEM")
    parser.add_argument("--heartbeat", type=float, default=30.0, metavar="SECONDS", help="between two of one peer")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long peers work together; 0: not at all")
    parser.add_argument("--health", metavar="HOST:PORT", help="the gateway's health port, for checks of counters")
    parser.add_argument("--gateway", metavar="FILE", help="the gateway's program, for checks of its clients")
    parser.add_argument("--pid", type=int, help="the gateway's process, which the last check stops")
    parser.add_argument("--only", metavar="TEXT", default="", help="checks whose name contains it")
    parser.add_argument("--list", action="store_true", help="print the names of the checks and end")
    options = parser.parse_args()

    host, _, port = options.server.rpartition(":")
    host = host.strip("[]")
    place = Place(host, int(port), options.transport, options.ca, options.realm, options.heartbeat)
    given = Given(place, options.health, options.gateway, options.pid, options.seconds)
    checks = [check for check in CHECKS if options.only in sentence(check)]
    if not checks:
        parser.error(f"no check has {options.only!r} in its name")
    if options.list:
        print("\n".join(map(sentence, checks)))
        return 0
    return asyncio.run(run(given, checks))


async def run(given: Given, checks: list[Check]) -> int:
    passed = failed = 0
    for check in checks:
        try:
            await one(given, check)
        except Skipped as skipped:
            print(f"skipped: {sentence(check)}: {skipped}", flush=True)
        except Exception as error:
            failed += 1
            why = str(error) if isinstance(error, Failure) else repr(error)
            print(f"FAILED: {sentence(check)}: {why}", flush=True)
        else:
            passed += 1
            print(f"ok: {sentence(check)}", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


async def one(given: Given, check: Check) -> None:
    stage = Stage(given)
    try:
        async with asyncio.timeout(LONGEST_S + given.seconds):
            await check(stage)
    finally:
        await stage.leave()


def sentence(check: Check) -> str:
    return check.__name__.replace("_", " ")


sys.exit(main())
