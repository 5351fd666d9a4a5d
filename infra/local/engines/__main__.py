"""``make engines``: starts the engines, says how to use them, and ends them on Ctrl-C."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import FrameType

from engines.assembly import assemble
from engines.catalog import OpenSearch, catalog
from engines.errors import EngineError
from engines.java import suitable
from engines.running import running
from engines.table import CREDENTIALS, REGION, TABLE, make

DEFAULT_PARTS = ("opensearch-2", "dynamodb-local")


def serve(parts: tuple[str, ...]) -> None:
    """Serves until it is interrupted. Raises ``EngineError``."""
    engines = catalog()
    unknown = set(parts) - engines.keys()
    if unknown:
        raise EngineError(f"there is no engine {', '.join(sorted(unknown))}; there are {', '.join(engines)}")
    javas = {part: suitable(engines[part].name, engines[part].java, os.environ) for part in parts}
    homes = {part: assemble(engines[part], say=_say) for part in parts}
    with ExitStack() as stack:
        urls: dict[str, str] = {}
        for part in parts:
            engine, began = engines[part], time.monotonic()
            _say(f"Starting {engine.name} on Java {javas[part].version} ...")
            urls[part] = stack.enter_context(running(engine, homes[part], javas[part]))
            _say(f"{engine.name} is at {urls[part]} ({time.monotonic() - began:.1f} s)")
        dynamodb = urls.get("dynamodb-local")
        opensearch = next((url for part, url in urls.items() if isinstance(engines[part], OpenSearch)), None)
        if dynamodb is not None:
            make(dynamodb)
        _say(greeting(opensearch, dynamodb))
        while True:
            signal.pause()


def greeting(opensearch: str | None, dynamodb: str | None) -> str:
    """What a developer wants to know: how ``make run`` and the tests use the engines."""
    run = {"AWS_ACCESS_KEY_ID": CREDENTIALS, "AWS_SECRET_ACCESS_KEY": CREDENTIALS, "AWS_DEFAULT_REGION": REGION}
    tests: dict[str, str] = {}
    if dynamodb is not None:
        run |= {"COMMONPLACE_ROWS": "dynamodb", "COMMONPLACE_TABLE": TABLE, "AWS_ENDPOINT_URL_DYNAMODB": dynamodb}
        tests["COMMONPLACE_TEST_DYNAMODB"] = dynamodb
    if opensearch is not None:
        run |= {"COMMONPLACE_INDEX": "opensearch", "COMMONPLACE_OPENSEARCH": opensearch}
        tests["COMMONPLACE_TEST_OPENSEARCH"] = opensearch
    return f"""
For `make run`:
{_exports(run)}

For `make test`, which otherwise starts engines of its own:
{_exports(tests)}

Ctrl-C ends the engines; what they hold is gone then."""


def _exports(variables: Mapping[str, str]) -> str:
    return "\n".join(f"  export {name}={shlex.quote(value)}" for name, value in variables.items())


def _say(line: str) -> None:
    print(line, flush=True)


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # impatience must not leave engines behind
    raise KeyboardInterrupt


def main() -> int:
    """Serves the engines that were named, or those of the AWS deployment; the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        serve(tuple(sys.argv[1:]) or DEFAULT_PARTS)
    except KeyboardInterrupt:
        _say("The engines have ended.")
    except EngineError as error:
        print(f"engines: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
