"""What an operator does from a shell; ``python -m commonplace.cli --help`` tells."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from commonplace.adapters.system import RandomIds, SystemClock
from commonplace.core.admit import KeyOrder
from commonplace.core.rebuild import Progress
from commonplace.engines import opened
from commonplace.model.apikey import Permission
from commonplace.model.errors import CommonplaceError, Unavailable
from commonplace.settings import SettingError, read
from commonplace.wiring import Services


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        return asyncio.run(_run(parsed))
    except (SettingError, CommonplaceError) as error:
        print(f"commonplace: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commonplace.cli", description="Operate a Commonplace.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-key", help="make an API key, and show it this once")
    create.add_argument("--name", help="what to recognise it by")
    create.add_argument("--tenant", default="default", help="whose memories it opens (default: %(default)s)")
    create.add_argument(
        "--scopes",
        default="read,write",
        help="comma-separated, of read, write, delete, admin (default: %(default)s)",
    )
    create.add_argument(
        "--organization",
        action="append",
        default=[],
        help="of the edge API: make the key good for this organization of the tenant alone; may be given again",
    )
    revoke = commands.add_parser("revoke-key", help="make an API key open nothing, within 60 s everywhere")
    revoke.add_argument("key", nargs="?", help="the key; left out, it is read from standard input")
    commands.add_parser("redrive", help="put the messages of the dead-letter queues back to be tried again")
    rebuild = commands.add_parser("rebuild-index", help="build the index anew from the rows, while the service runs")
    rebuild.add_argument("--from", dest="position", help="go on where a run that was broken off said it was")
    return parser


async def _run(parsed: argparse.Namespace) -> int:
    settings = read(os.environ)
    clock = SystemClock()
    async with opened(settings, clock) as engines:
        services = Services(settings, engines, clock, RandomIds())
        match parsed.command:
            case "create-key":
                return await _create(services, parsed)
            case "revoke-key":
                return await _revoke(services, parsed.key or sys.stdin.readline().strip())
            case "rebuild-index":
                return await _rebuild(services, parsed.position)
            case _:
                return await _redrive(services)


async def _create(services: Services, parsed: argparse.Namespace) -> int:
    try:
        permissions = tuple(dict.fromkeys(Permission(scope.strip()) for scope in parsed.scopes.split(",")))
    except ValueError:
        raise SettingError(f"--scopes takes read, write, delete and admin, not {parsed.scopes!r}") from None
    order = KeyOrder(
        tenant=parsed.tenant,
        environment=services.settings.environment,
        permissions=permissions,
        name=parsed.name,
        organizations=tuple(dict.fromkeys(parsed.organization)),
    )
    token, _ = await services.admit.mint(order)
    print(token)
    return 0


async def _revoke(services: Services, token: str) -> int:
    key = await services.admit.revoke(token)
    print(f"{key.prefix}… opens nothing any more")
    return 0


async def _redrive(services: Services) -> int:
    engines = services.engines
    for name, queue in (("embedding", engines.embedding_queue), ("delivery", engines.delivery_queue)):
        print(f"{name}: {await queue.redrive()} messages put back")
    return 0


async def _rebuild(services: Services, position: str | None) -> int:
    reached, done = position, Progress(0, 0, position)
    try:
        async for done in services.rebuild(position or None):
            reached = done.position
            print(f"\r{done.indexed} memories in the index", end="", flush=True)
    except Unavailable:
        print(f"\nbroken off; go on with: rebuild-index --from '{reached or ''}'")
        raise
    print()
    if done.failed:
        print(f"{done.failed} memories could not be put into the index; the old one stays beside it. Run it again.")
    return 1 if done.failed else 0


if __name__ == "__main__":
    sys.exit(main())
