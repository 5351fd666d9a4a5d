"""Text models that somebody else runs, as extractors: what they are asked, and what is made of what they answer."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from typing import Any, Final

from commonplace.adapters.hosted import PLAIN, Patience, Refused, each
from commonplace.model.errors import CommonplaceError, Invalid, Unavailable
from commonplace.model.event import Event, EventKind
from commonplace.model.insight import Insight, Nature, Statement
from commonplace.ports.extractor import Extracted, beginning

MOST_STATEMENTS: Final = 10
"""Statements of one event; what a model says beyond is dropped."""

MOST_TEXT: Final = 2_000
"""Characters of a statement. The prompt asks for one or two sentences."""

MOST_SUMMARY: Final = 500
MOST_ENTITIES: Final = 8
MOST_TAGS: Final = 5
LONGEST_NAME: Final = 60
"""Characters of an entity or a tag; a longer one is none."""

MOST_EARLIER: Final = 20
"""Events of the context that are sent, the latest."""

MOST_CONTEXT: Final = 8_000
"""Characters of their contents, all together: about 2,000 tokens of English."""

MOST_OF_ONE: Final = 2_000
"""Characters of each: of a longer one the beginning is sent."""

MOST_OUTPUT: Final = 4_096
"""Tokens of an answer. Ten statements need about 1,500; some models think within this too."""

READINGS: Final = 2
"""How often a model is asked that answers in another form than it was asked for."""

MAX_CONCURRENT: Final = 16
"""Questions of one extractor that are under way at the same time, whoever asks."""

REQUEST_SECONDS: Final = 20.0
"""For one request: a few seconds are usual, and an answer of ``MOST_OUTPUT`` tokens takes the longest."""

PATIENCE: Final = 10.0
"""Seconds after which a call repeats nothing any more."""

DEADLINE: Final = 25.0
"""Seconds after which a call waits for nothing any more, be it an answer or its turn to ask. The worker has 60, and embeds
after this."""

MEND_SECONDS: Final = 60
"""When to come back if somebody has to change something first."""

UNSURE: Final = 0.5
"""The confidence of a statement whose model does not say it."""

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_KINDS: Final = {Nature.SEMANTIC: "fact", Nature.EPISODIC: "event", Nature.PROCEDURAL: "procedure"}
_NATURES: Final = {"event": Nature.EPISODIC, "norm": Nature.PROCEDURAL, "procedure": Nature.PROCEDURAL}
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")


class Unreadable(Exception):
    """The model answered in another form than it was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to one question. ``content`` is what it filled into the form, as JSON; None if it did not.
    ``declined``: why it would not read this content at all. ``tokens`` are those of question and answer."""

    tokens: int
    content: object = None
    declined: str | None = None


Ask = Callable[[str, Patience], Awaitable[Answer]]
"""One question to a model. Raises ``Refused`` when the question was not even read, and ``Unavailable`` when nobody could
be asked for longer than the patience."""


class Reading:
    """Reads events with a text model: a question for each event, so that what one says touches no other, and a refusal
    neither. ``ask`` puts the question to ``model``, which is its name in errors."""

    def __init__(self, model: str, ask: Ask, *, patience: float, deadline: float, jitter: Callable[[], float]) -> None:
        self._model = model
        self._ask = ask
        self._patience = patience
        self._deadline = deadline
        self._jitter = jitter
        self._free = asyncio.Semaphore(MAX_CONCURRENT)

    async def __call__(self, events: Sequence[Event], context: Sequence[Event]) -> list[Extracted]:
        """As ``Extractor.extract`` promises, within the deadline.

        An event is ``Invalid`` when the model declines it, or when its question is refused though a plain one is not. It
        is ``Unavailable`` when nobody can be asked, when plain questions are refused too, and when ``READINGS`` answers
        cannot be read.
        """
        patience = Patience(self._patience, self._jitter)
        end = asyncio.get_running_loop().time() + self._deadline
        questions = [question(event, [*context, *events[:number]]) for number, event in enumerate(events)]
        return await each(partial(self._read, patience=patience, end=end), questions, len(questions))

    async def _read(self, question: str, patience: Patience, end: float) -> Extracted:
        bill: list[int] = []
        outcome: tuple[Statement, ...] | CommonplaceError
        try:
            async with asyncio.timeout_at(end), self._free:
                outcome = await self._outcome(question, patience, bill)
        except TimeoutError:
            outcome = Unavailable(f"{self._model} did not answer in time")
        except Unavailable as failure:
            outcome = failure
        return Extracted(outcome, sum(bill))

    async def _outcome(
        self, question: str, patience: Patience, bill: list[int]
    ) -> tuple[Statement, ...] | CommonplaceError:
        for _ in range(READINGS):
            try:
                answer = await self._ask(question, patience)
            except Refused:  # its words may quote the event, and go no further
                break
            bill.append(answer.tokens)
            if answer.declined is not None:
                return Invalid(f"{self._model} declines to read the event ({answer.declined})")
            try:
                return statements(answer.content)
            except Unreadable:
                continue
        else:
            return Unavailable(f"{self._model} answered {READINGS} times in another form than it was asked for")
        return await self._judged(patience, bill)

    async def _judged(self, patience: Patience, bill: list[int]) -> CommonplaceError:
        try:
            answer = await self._ask(_data({"kind": EventKind.USER, "content": PLAIN}, []), patience)
        except Refused as always:
            return Unavailable(f"{self._model} refuses every question: {always}", MEND_SECONDS)
        bill.append(answer.tokens)
        return Invalid(f"{self._model} refuses the event, though not others")


@cache
def prompt() -> str:
    """What a model is told to do, once and for all events: nothing of an event stands in it."""
    return resources.files(__package__).joinpath("extraction_prompt.md").read_text(encoding="utf-8")


def schema(*, closed: bool) -> dict[str, Any]:
    """The form of an answer as JSON Schema. ``closed``: whether it says that there is nothing else, which OpenAI demands
    and Amazon's Nova forbids."""
    names = {"type": "array", "items": {"type": "string"}}
    fields: dict[str, Any] = {
        "text": {"type": "string"},
        "nature": {"type": "string", "enum": [str(nature) for nature in Nature]},
        "kind": {"type": "string"},
        "title": {"type": "string"},
        "summary": {"type": "string"},
        "confidence": {"type": "number"},
        "entities": names,
        "tags": names,
    }
    more = {"additionalProperties": False} if closed else {}
    statement = {"type": "object", "properties": fields, "required": list(fields), **more}
    listed = {"type": "array", "items": statement}
    return {"type": "object", "properties": {"statements": listed}, "required": ["statements"], **more}


def question(event: Event, earlier: Sequence[Event]) -> str:
    """What is sent for an event: itself and the latest of its session before it, as data. Who and whose it is, and its
    metadata, are not sent. The record of an application is no part of a conversation, and has no context."""
    context = [] if event.kind is EventKind.APP else _latest(event, earlier)
    return _data(_told(event, event.content), [_told(other, _shortened(other.content)) for other in context])


def statements(content: object) -> tuple[Statement, ...]:
    """What a model filled into the form, cleaned and bounded: at most ``MOST_STATEMENTS``, each with a text that is not
    blank and like no other. A field that cannot be used has what the others suggest; a statement without a text is
    dropped. Raises ``Unreadable`` if there is no list, or nothing in it that could be used."""
    entries = content.get("statements") if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise Unreadable
    unlike: dict[str, Statement] = {}
    for entry in entries:
        if isinstance(entry, dict) and _line(entry.get("text")):
            statement = _statement(entry)
            unlike.setdefault(statement.text, statement)
    if entries and not unlike:
        raise Unreadable
    return tuple(unlike.values())[:MOST_STATEMENTS]


def part(value: object) -> Mapping[str, Any]:
    """A part of a vendor's answer that should be an object; empty if it is none."""
    return value if isinstance(value, dict) else {}


def first(value: object) -> object:
    """The first of a part that should be a list; None if there is none."""
    return value[0] if isinstance(value, list) and value else None


def count(value: object) -> int:
    """A number of tokens, 0 where none can be read."""
    return value if isinstance(value, int) and value > 0 else 0


def _data(event: Mapping[str, str], context: Sequence[Mapping[str, str]]) -> str:
    # Without angle brackets no content can end the data; without halves of surrogate pairs it can be sent.
    text = json.dumps({"context": context, "event": event}, ensure_ascii=False)
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").encode("utf-8", "replace").decode()
    return f"<data>\n{text}\n</data>"


def _told(event: Event, content: str) -> dict[str, str]:
    return {"kind": event.kind, "at": event.at.isoformat(timespec="seconds"), "content": content}


def _latest(event: Event, earlier: Sequence[Event]) -> list[Event]:
    whose = (event.tenant, event.organization, event.session)
    chosen: list[Event] = []
    room = MOST_CONTEXT
    for other in reversed(earlier):
        if other.id != event.id and (other.tenant, other.organization, other.session) == whose:
            room -= len(_shortened(other.content))
            if room < 0 or len(chosen) == MOST_EARLIER:
                break
            chosen.append(other)
    return chosen[::-1]


def _shortened(content: str) -> str:
    return content if len(content) <= MOST_OF_ONE else content[: MOST_OF_ONE - 1] + "…"


def _statement(entry: Mapping[str, object]) -> Statement:
    text = beginning(_line(entry.get("text")), MOST_TEXT)
    kind = _line(entry.get("kind")).lower().replace(" ", "_")
    given = _line(entry.get("nature")).lower()
    nature = Nature(given) if given in list(Nature) else _NATURES.get(kind, Nature.SEMANTIC)
    return Statement(
        text=text,
        kind=kind if _KIND.fullmatch(kind) else _KINDS[nature],
        tags=_names(entry.get("tags"), str.lower, MOST_TAGS),
        insight=Insight(
            nature=nature,
            title=beginning(_line(entry.get("title")) or text),
            confidence=_confidence(entry.get("confidence")),
            summary=beginning(_line(entry.get("summary")), MOST_SUMMARY) or None,
            entities=_names(entry.get("entities"), str, MOST_ENTITIES),
        ),
    )


def _line(value: object) -> str:
    """A string as one line, without characters that are no text; empty for whatever is no string."""
    return _UNFIT.sub(" ", value).strip() if isinstance(value, str) else ""


def _names(value: object, form: Callable[[str], str], most: int) -> tuple[str, ...]:
    names: Iterable[str] = map(form, map(_line, value)) if isinstance(value, list) else ()
    return tuple(dict.fromkeys(name for name in names if 0 < len(name) <= LONGEST_NAME))[:most]


def _confidence(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return UNSURE
    # Of what is not a number, both comparisons are false.
    return float(min(1, max(0, value))) if value >= 0 or value < 0 else UNSURE
