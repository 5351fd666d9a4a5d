"""The answers of the data plane, made of core values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from commonplace.dialects.memsy.moments import iso
from commonplace.dialects.memsy.understanding import insight
from commonplace.model.directory import Group, GroupKind
from commonplace.model.event import Event, EventState
from commonplace.model.memory import Memory
from commonplace.model.values import Metadata

Object = dict[str, Any]

MOST_SOURCE_METADATA = 5
"""Sources of a result whose metadata are shown."""

NOT_FOUND = "not_found"
"""The status of an event that there is not."""

LISTS: Mapping[str, str] = {
    EventState.PENDING.value: "pendingIds",
    EventState.COMPLETED.value: "completedIds",
    EventState.FAILED.value: "failedIds",
    NOT_FOUND: "failedIds",
}
"""The list in which an event of each status stands. Clients ask again as long as one is pending."""


def ingested(ids: Sequence[str]) -> Object:
    """The answer to a batch of events: the id of each, in order."""
    return {"event_ids": list(ids)}


def progress(states: Iterable[tuple[str, EventState | None]]) -> Object:
    """How far events are, each as often as it was asked for; None: there is none of that id."""
    lists: dict[str, list[str]] = {"completedIds": [], "failedIds": [], "pendingIds": []}
    statuses: dict[str, str] = {}
    total = 0
    for id, state in states:
        status = NOT_FOUND if state is None else state.value
        lists[LISTS[status]].append(id)
        statuses[id] = status
        total += 1
    return {**lists, "total": total, "statuses": statuses}


def search_result(
    memory: Memory,
    score: float,
    *,
    strength: float,
    sources: Sequence[str],
    events: Mapping[str, Event],
    with_events: bool,
) -> Object:
    """What a search found. ``sources`` are the ids of the events that the memory was made of, ``events`` those of them
    (and any others) that are known; with ``with_events`` they are shown.

    What another API's writer said of a memory stands in ``payload``: there is no event that could carry it.
    """
    understood = insight(memory)
    known = [events[id] for id in sources if id in events]
    metadata: Object = {
        "title": understood.title,
        "summary": understood.summary,
        "tags": list(memory.tags),
        "entities": entities(understood.entities),
        "kind": understood.nature.value,
        "type": memory.kind,
        "strength": strength,
        "confidence": understood.confidence,
        "observed_at": iso(memory.occurred_at),
        "effective_from": None,
        "session_id": memory.scope.session,
        "actor_id": memory.scope.user,
        "source_event_ids": list(sources),
        "source_metadata": [
            _source_metadata(event.id, event.metadata) for event in known if event.metadata is not None
        ][:MOST_SOURCE_METADATA],
    }
    if payload(memory) is not None:
        metadata["payload"] = payload(memory)
    if with_events and known:
        metadata["source_events"] = [_source_event(event) for event in known]
    # The score is not rounded: it may come back as the least one.
    return {"id": memory.id, "content": memory.content, "score": min(1.0, max(0.0, score)), "metadata": metadata}


def payload(memory: Memory) -> Object | None:
    """The metadata of a memory that was not made of events; what was has its events' metadata."""
    return dict(memory.metadata) if memory.insight is None and memory.metadata else None


def entities(names: Iterable[str]) -> list[Object]:
    """What a memory speaks of."""
    return [{"name": name} for name in names]


def _source_metadata(id: str, metadata: Metadata | str) -> Object:
    told = {"raw": metadata} if isinstance(metadata, str) else {"metadata": dict(metadata)}
    return {"event_id": id, **told}


def _source_event(event: Event) -> Object:
    return {"event_id": event.id, "kind": event.kind.value, "content": event.content, "ts": iso(event.at)}


def found(results: Iterable[Object]) -> Object:
    """The answer to a search, in the order of the results."""
    return {"results": list(results)}


def health(version: str) -> Object:
    """The health of either plane, for who shows a good key."""
    return {
        "status": "ok",
        "version": version,
        "billing_enabled": False,
        "components": {"async_memsy": "ok", "sync_memsy": "ok"},
    }


def group(group: Group) -> Object:
    """The record of an org, a role or a team."""
    own = {} if group.kind is GroupKind.ORG else {f"{group.kind.value}_id": group.id}
    return {
        **own,
        "org_id": group.organization,
        "name": group.name,
        "focus": group.focus,
        "promotion_prompt": group.prompt,
        "created_at": iso(group.created_at),
        "updated_at": iso(group.updated_at),
        "prompt_meta": {"source": group.prompt_source.value, "generated_at": iso(group.prompted_at)},
    }


def groups(groups: Iterable[Group]) -> list[Object]:
    """A list of orgs, roles or teams: nothing stands around it."""
    return [group(each) for each in groups]
