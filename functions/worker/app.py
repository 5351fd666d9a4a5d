"""What the worker does with the messages of a batch. Each record fails alone."""

import asyncio
import json
import logging
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from commonplace.core.embed import Refused
from commonplace.model.errors import CommonplaceError, NotFound, Unavailable
from commonplace.model.memory import Memory, Tombstone
from commonplace.wiring import Services

log = logging.getLogger("commonplace.worker")

MOST_TOGETHER = 50
"""Events of one organization whose memories are made together."""

BEGINS = timedelta(seconds=30)
"""How long after its beginning an invocation still begins to embed: it has 60 s (template.yaml), of which an embedder that
only hangs takes 18 before it is given up, and an index 10."""

FIELDS: Mapping[str, Mapping[str, type]] = {
    "embed": {"tenant": str, "id": str},
    "deliver": {"tenant": str, "id": str, "attempt": int},
    "forget": {"tenant": str, "session": str},
    "clear": {"tenant": str, "store": str},
    "extract": {"tenant": str, "organization": str, "ids": list},
    "recalled": {"tenant": str, "ids": list},
    "promote": {"tenant": str, "organization": str},
}
"""What each kind of message says."""


@dataclass(frozen=True, slots=True)
class Record:
    """A message as SQS hands it over: its id, its content, how often it was handed over."""

    id: str
    body: dict[str, Any]
    receives: int


async def consume(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """Works through an SQS event and returns SQS's partial batch response.

    A message that cannot be read, or whose work failed, is in ``batchItemFailures`` and comes again; after the queue's
    last attempt it is in the dead-letter queue. A memory that the index refused each time is then marked as failed, with
    the reason. One that only waits for a part of the service that is down stays pending, for as long as that takes: its
    message is done with after the last attempt, since the sweeper sends another each minute.
    """
    failures: list[str] = []
    records: list[Record] = []
    for raw in event["Records"]:
        record = _read(raw)
        if record is None:
            log.error("unreadable message", extra={"message_id": raw["messageId"]})
            failures.append(raw["messageId"])
        else:
            records.append(record)
    until = services.clock.now() + BEGINS
    embeds = [record for record in records if record.body["kind"] == "embed"]
    extracts = [record for record in records if record.body["kind"] == "extract"]
    others = [record for record in records if record.body["kind"] not in ("embed", "extract")]
    outcomes = await asyncio.gather(
        *([_tried(embeds, _embed(services, embeds, until))] if embeds else []),
        *(_tried(some, _extract(services, some)) for some in _together(services, extracts)),
        *(_tried(same, _one(services, same[0])) for same in _alike(others)),
    )
    failures += [id for outcome in outcomes for id in outcome]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failures]}


def _read(raw: dict[str, Any]) -> Record | None:
    try:
        body = json.loads(raw["body"])
        if not all(isinstance(body[field], kind) for field, kind in FIELDS[body["kind"]].items()):
            return None
        if not all(isinstance(id, str) for id in body.get("ids", ())):
            return None
        return Record(raw["messageId"], body, int(raw["attributes"]["ApproximateReceiveCount"]))
    except (ValueError, KeyError, TypeError):
        return None


async def _tried(records: Sequence[Record], work: Coroutine[Any, Any, list[str]]) -> list[str]:
    """The ids of the messages that failed: those that ``work`` names, or all of them if it fails itself."""
    ids = [record.id for record in records]
    named = {"message_ids": ids, "kind": records[0].body["kind"]}
    try:
        return await work
    except CommonplaceError as error:
        log.warning("message failed", extra={**named, "reason": error.message})
    except Exception:
        log.exception("message failed unexpectedly", extra=named)
    return ids


async def _one(services: Services, record: Record) -> list[str]:
    body = record.body
    match body["kind"]:
        case "deliver":
            await services.deliver(body["tenant"], body["id"], body["attempt"])
        case "clear":
            await services.forget.clear(body["tenant"], store=body["store"])
        case "recalled":
            await services.memories.accessed(body["tenant"], body["ids"], services.clock.now())
        case "promote":
            await services.promote(body["tenant"], body["organization"])
        case _:
            await services.forget.clear(body["tenant"], session=body["session"])
    return []


def _alike(records: Sequence[Record]) -> list[list[Record]]:
    """The records in groups that ask for one and the same, which is done once. Each ``recalled`` counts."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        asked = record.id if record.body["kind"] == "recalled" else json.dumps(record.body, sort_keys=True)
        groups.setdefault(asked, []).append(record)
    return list(groups.values())


def _together(services: Services, records: Sequence[Record]) -> list[list[Record]]:
    """Records of one organization, in portions of about so many events as are embedded together. Those of the last attempt
    are among themselves."""
    groups: dict[tuple[str, str, bool], list[list[Record]]] = {}
    for record in records:
        key = record.body["tenant"], record.body["organization"], _is_last(services, record)
        portions = groups.setdefault(key, [[]])
        if portions[-1] and len(_events([*portions[-1], record])) > MOST_TOGETHER:
            portions.append([])
        portions[-1].append(record)
    return [portion for portions in groups.values() for portion in portions]


def _events(records: Sequence[Record]) -> list[str]:
    return [id for record in records for id in record.body["ids"]]


async def _extract(services: Services, records: Sequence[Record]) -> list[str]:
    """Makes memories of the events that the records, which were put together, name. All of them come again while some of the
    events are not done; after the last attempt the sweeper sends others for them."""
    body, last = records[0].body, _is_last(services, records[0])
    left = await services.distill(body["tenant"], body["organization"], _events(records), last=last)
    if not left:
        return []
    ids = [record.id for record in records]
    log.warning("events not done yet", extra={"message_ids": ids, "left": left})
    return [] if last else ids


async def _embed(services: Services, records: Sequence[Record], until: datetime) -> list[str]:
    """Brings the index up to date with the memories that the records name, as far as that is begun before ``until``; the ids
    of the messages that failed, or come again because their turn did not come."""
    by_memory: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        by_memory.setdefault((record.body["tenant"], record.body["id"]), []).append(record)
    seen = await services.memories.last_seen_all(list(by_memory))
    unfinished: list[Record] = []
    work: list[Memory] = []
    for key, found in zip(by_memory, seen, strict=True):
        if isinstance(found, Tombstone):
            try:
                await services.embed.clear(found)
            except Unavailable as error:
                log.warning("memory still in the index", extra={"memory": found.id, "reason": error.message})
                unfinished += by_memory[key]
        elif isinstance(found, Memory) and (found.marked_at is not None or not found.ready):
            work.append(found)
    for memory, outcome in zip(work, await services.embed(work, until), strict=True):
        if isinstance(outcome, CommonplaceError) and not isinstance(outcome, NotFound):
            of_memory = by_memory[memory.tenant, memory.id]
            unfinished += of_memory
            given_up = isinstance(outcome, Refused) and any(_is_last(services, record) for record in of_memory)
            log.warning(
                "memory not searchable yet",
                extra={"memory": memory.id, "reason": outcome.message, "given_up": given_up},
            )
            if given_up:
                await services.embed.give_up(memory, outcome.message)
    left = await _left_to_the_sweeper(services, [record for record in unfinished if _is_last(services, record)])
    return [record.id for record in unfinished if record.id not in left]


def _is_last(services: Services, record: Record) -> bool:
    return record.receives >= services.settings.max_receives


async def _left_to_the_sweeper(services: Services, records: Sequence[Record]) -> set[str]:
    """The ids of the messages whose rows are marked, now that their last attempt is over: the sweeper sends others for
    them until they are done, so in the dead-letter queue they would only pile up while the index is down."""
    named = {record.id: (record.body["tenant"], record.body["id"]) for record in records}
    wanted = list(set(named.values()))
    rows = dict(zip(wanted, await services.memories.last_seen_all(wanted), strict=True))
    return {id for id, key in named.items() if (row := rows[key]) is not None and row.marked_at is not None}
