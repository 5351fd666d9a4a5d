"""Plays the files of dialects/golden: the requests and answers of each API's contract, step by step."""

import asyncio
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from commonplace.core.admit import KeyOrder
from commonplace.model.apikey import Permission, hashed
from pollers import sqs_event
from relay_routes import REQUEST_ID
from worker.app import consume
from world import KEY, TENANT, World

FOLDER = Path(__file__).parent / "dialects/golden"
FILES = sorted((FOLDER / "relay").glob("*.json"))
COGNIPEER = sorted((FOLDER / "cognipeer").glob("*.json"))
EDGE = sorted((FOLDER / "edge").glob("*.json"))
MEMSY = sorted((FOLDER / "memsy").glob("*.json"))
PLACEHOLDER = re.compile(r"<([a-z_]+)(?: as ([a-z]+))?>")
ABOUT = re.compile(r"<about (-?\d+(?:\.\d+)?)>")
NEAR = 1e-3
VARIABLE = re.compile(r"\$\{([a-z]+)\}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UUID_FOUR = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MILLISECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
VECTOR = re.compile(f"mem-{UUID_FOUR.pattern}")
PATIENCE = 60
"""Seconds in which a worker of a running service has done what there is to do."""

Known = dict[str, Any]


def text_of(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    """Whether a value is a text of a form."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


KINDS: Mapping[str, Callable[[Any], bool]] = {
    "uuid": text_of(UUID),
    "uuid_four": text_of(UUID_FOUR),
    "iso": text_of(ISO),
    "iso_milliseconds": text_of(MILLISECONDS),
    "id": text_of(re.compile(r"[A-Za-z0-9_-]+")),
    "vector_id": text_of(VECTOR),
    "request_id": text_of(REQUEST_ID),
    "key": text_of(re.compile(r"mem_[a-z]+_\S{12,}")),
    "seconds": text_of(re.compile(r"[1-9]\d*")),
    "text": text_of(re.compile(r".+", re.DOTALL)),
    "epoch": lambda value: type(value) is int and 1_600_000_000 < value < 10_000_000_000,
    "int": lambda value: type(value) is int and value >= 0,
    "float": lambda value: type(value) is float and value >= 0,
    "share": lambda value: type(value) in (int, float) and 0 <= value <= 1,
    "vector": lambda value: isinstance(value, list) and bool(value) and all(type(each) is float for each in value),
    "any": lambda _: True,
}
"""What the placeholders stand for."""


def filled(text: str, known: Known) -> Any:
    """A text with its variables in it; a text that is one variable is that variable's value."""
    whole = VARIABLE.fullmatch(text)
    return known[whole[1]] if whole else VARIABLE.sub(lambda match: str(known[match[1]]), text)


def everywhere(value: Any, known: Known) -> Any:
    """A JSON value with its variables in it."""
    if isinstance(value, dict):
        return {key: everywhere(inner, known) for key, inner in value.items()}
    if isinstance(value, list):
        return [everywhere(inner, known) for inner in value]
    return filled(value, known) if isinstance(value, str) else value


def matches(expected: Any, found: Any, known: Known, where: str = "body") -> None:
    """Asserts that what was found is what is expected: the same keys, the same types, the same values.

    ``<kind>`` stands for any value of a kind, ``<kind as name>`` keeps it as a variable, ``${name}`` is one; ``<about 0.6>``
    is a number within a thousandth of that.
    """
    if isinstance(expected, dict):
        assert isinstance(found, dict), f"{where}: {found!r}"
        assert set(found) == set(expected), f"{where}: {sorted(set(found) ^ set(expected))}"
        for key in expected:
            matches(expected[key], found[key], known, f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(found, list), f"{where}: {found!r}"
        assert len(found) == len(expected), f"{where}: {found!r}"
        for number, inner in enumerate(expected):
            matches(inner, found[number], known, f"{where}[{number}]")
    elif isinstance(expected, str) and (placeholder := PLACEHOLDER.fullmatch(expected)):
        kind, name = placeholder.groups()
        assert KINDS[kind](found), f"{where}: {found!r} is no {kind}"
        if name:
            known[name] = found
    elif isinstance(expected, str) and (about := ABOUT.fullmatch(expected)):
        assert type(found) in (int, float), f"{where}: {found!r} is no number"
        assert abs(found - float(about[1])) <= NEAR, f"{where}: {found!r} is not {expected}"
    else:
        wanted = filled(expected, known) if isinstance(expected, str) else expected
        assert type(found) is type(wanted), f"{where}: {found!r} is no {wanted!r}"
        assert found == wanted, f"{where}: {found!r} is not {wanted!r}"


def in_order(expected: Any, found: Any) -> None:
    """Asserts that what matches has its keys in the expected order as well."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, inner in expected.items():
            in_order(inner, found[key])
    elif isinstance(expected, list):
        for inner, of_found in zip(expected, found, strict=True):
            in_order(inner, of_found)


def content(request: Any, known: Known) -> bytes | None:
    """The body of a request: JSON, a text, or bytes written as Latin-1; ``size`` fills it up with spaces."""
    if "body" in request:
        raw = json.dumps(everywhere(request["body"], known)).encode()
    elif "text" in request:
        raw = request["text"].encode()
    elif "bytes" in request:
        raw = request["bytes"].encode("latin-1")
    else:
        return None
    return raw.ljust(request.get("size", 0))


async def asked(
    http: httpx.AsyncClient, step: Any, known: Known, *, key: str | None = KEY, ordered: bool = False
) -> None:
    """Makes the request of a step, with ``key`` where it says nothing else, and asserts the answer.

    An answer for which no body is expected has to be without one.
    """
    request, expected = step["request"], step["response"]
    own = {} if key is None else {"authorization": f"Bearer {key}"}
    headers = everywhere(request.get("headers", own), known)
    path = filled(request["path"], known)
    response = await http.request(request["method"], path, headers=headers, content=content(request, known))
    assert response.status_code == expected["status"], response.text
    for name, value in expected.get("headers", {}).items():
        matches(value, response.headers.get(name), known, name)
    if "body" not in expected:
        assert response.content == b""
        return
    assert response.headers["content-type"] == "application/json"
    assert REQUEST_ID.fullmatch(response.headers["x-request-id"])
    assert response.headers["vary"] == "Origin"
    body = json.loads(response.content, parse_constant=no_constant)
    if response.status_code == 503 and "request_id" in body:
        assert response.headers["retry-after"].isdecimal()
    matches(expected["body"], body, known)
    if ordered:
        in_order(expected["body"], body)


def no_constant(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


async def accepted(world: World, step: Any) -> None:
    """Makes a key good, for what the step says, and until as many seconds have passed."""
    order = KeyOrder(
        tenant=step.get("tenant", TENANT),
        environment="test",
        permissions=tuple(map(Permission, step["permissions"])),
        expires_at=world.clock.now() + timedelta(seconds=step["seconds"]) if "seconds" in step else None,
        organizations=tuple(step.get("organizations", ())),
    )
    await world.services.admit.accept(step["key"], order)


async def given_up(world: World) -> None:
    """Hands the embedding messages to the worker for the last time that they may come."""
    batch = await world.embedding_queue.inner.receive(10, 0)
    event = sqs_event("EmbeddingQueue", batch)
    for record in event["Records"]:
        record["attributes"]["ApproximateReceiveCount"] = str(world.services.settings.max_receives)
    world.index.refuses = ("",)
    assert (await consume(world.services, event))["batchItemFailures"]
    world.index.refuses = ()


def posted(world: World, step: Any, known: Known) -> None:
    """The last webhook that went out; without a secret of its own it is signed with the hash of the caller's key."""
    last = world.sender.posted[-1]
    assert last.url == step["url"]
    assert last.headers["content-type"] == "application/json"
    assert last.headers["x-memoryrelay-event"] == step["event"]
    assert last.headers["x-memoryrelay-delivery"]
    secret = step["secret"] or hashed(KEY)
    digest = hmac.digest(secret.encode(), last.body, hashlib.sha256).hex()
    assert last.headers["x-memoryrelay-signature"] == f"sha256={digest}"
    matches(step["body"], json.loads(last.body), known)


def let(step: Any, known: Known) -> None:
    """Gives a name to a value, which is a text or a list so many times over."""
    known[step["variable"]] = step["value"] * step["times"]


async def done(world: World, step: Any, known: Known) -> None:
    match step["do"]:
        case "work":
            assert all(answer == {"batchItemFailures": []} for answer in await world.work())
        case "advance":
            world.clock.advance(step["seconds"])
        case "down" | "up":
            getattr(world, step["what"]).down = step["do"] == "down"
        case "accept":
            await accepted(world, step)
        case "give up":
            await given_up(world)
        case "posted":
            posted(world, step, known)
        case "settings":
            world.configure(**step["settings"])
        case "let":
            let(step, known)
        case other:
            raise ValueError(other)


def steps(file: Path) -> list[Any]:
    """The steps of a file."""
    found: list[Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def played(world: World, file: Path, *, ordered: bool = False) -> None:
    """Takes all the steps of a file, and asserts each answer; with ``ordered`` the order of its keys too.

    A request that does not name its headers has a key, if the service needs one.
    """
    known: Known = {"key": KEY}
    async with world.client(None) as client:
        for step in steps(file):
            try:
                if "do" in step:
                    await done(world, step, known)
                else:
                    key = KEY if world.services.stranger is None else None
                    await asked(client.http, step, known, key=key, ordered=ordered)
            except AssertionError as error:
                raise AssertionError(f"{file.stem}: {step['name']}: {error}") from error


async def played_over(http: httpx.AsyncClient, file: Path, key: str) -> None:
    """Takes the steps of a file that a service needs no hand in, in the order of the keys too.

    It has been started with the settings of the file, and its worker works by itself: where the file lets the worker work,
    whatever is read until something is written again is asked until the answer is right. Each answer waits for itself: what is
    in one index may be found before what is in another.
    """
    known: Known = {"key": key}
    patience = 0.0
    for step in steps(file):
        if step.get("do") == "work":
            patience = PATIENCE
        elif step.get("do") == "let":
            let(step, known)
        elif "request" in step:
            if not reads(step["request"]):
                patience = 0.0
            try:
                await in_the_end(http, step, known, key, patience)
            except AssertionError as error:
                raise AssertionError(f"{file.stem}: {step['name']}: {error}") from error
        else:
            assert step["do"] == "settings", step["do"]


def reads(request: Any) -> bool:
    """Whether a request changes nothing, so that it can be made again."""
    return bool(request["method"] == "GET" or urlsplit(request["path"]).path.endswith("/search"))


async def in_the_end(http: httpx.AsyncClient, step: Any, known: Known, key: str, patience: float) -> None:
    """Makes the request of a step again until it is answered as it should be, for so many seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            await asked(http, step, known, key=key, ordered=True)
        except AssertionError:
            if time.monotonic() >= deadline:
                raise
        else:
            return
        await asyncio.sleep(0.05)
