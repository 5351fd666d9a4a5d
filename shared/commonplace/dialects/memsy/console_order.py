"""Which memories, events and actors a list shows, and in what order."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from commonplace.core.survey import Actor
from commonplace.dialects.memsy.console_requests import ActorListing, ActorSort, MemoryListing, MemorySort
from commonplace.dialects.memsy.understanding import insight
from commonplace.model.memory import Memory


def wanted(order: MemoryListing, now: datetime) -> Callable[[Memory], bool]:
    """Whether a list shows a memory. ``kind`` is the sort of knowledge or the finer class."""
    text = None if order.text is None else order.text.casefold()

    def meant(memory: Memory) -> bool:
        return (
            memory.standing(now) is order.standing
            and (order.kind is None or order.kind in (insight(memory).nature.value, memory.kind))
            and (order.type is None or memory.kind == order.type)
            and (text is None or text in memory.content.casefold())
        )

    return meant


def ordered(order: MemoryListing, memories: Sequence[Memory], strengths: Mapping[str, float]) -> list[Memory]:
    """The memories in the order of the list; those that it leaves open by their ids. ``strengths`` are by id."""
    by_id = sorted(memories, key=lambda memory: memory.id)
    match order.sort:
        case MemorySort.OBSERVED_FIRST:
            return sorted(by_id, key=lambda memory: memory.occurred_at)
        case MemorySort.STRONGEST:
            return sorted(by_id, key=lambda memory: -strengths[memory.id])
        case MemorySort.SUREST:
            return sorted(by_id, key=lambda memory: -insight(memory).confidence)
        case MemorySort.CREATED_LAST:
            return _latest_first(by_id, lambda memory: memory.created_at)
        case MemorySort.OBSERVED_LAST:
            return _latest_first(by_id, lambda memory: memory.occurred_at)


def ordered_actors(order: ActorListing, actors: Sequence[Actor]) -> list[Actor]:
    """Those of the actors that the list shows, in its order."""
    text = "" if order.text is None else order.text.casefold()
    by_id = sorted((actor for actor in actors if text in actor.id.casefold()), key=lambda actor: actor.id)
    match order.sort:
        case ActorSort.NAME:
            return by_id
        case ActorSort.BEGAN_FIRST:
            return sorted(by_id, key=lambda actor: actor.first_at)
        case ActorSort.LAST:
            return sorted(by_id, key=lambda actor: actor.last_at.timestamp(), reverse=True)
        case ActorSort.BEGAN_LAST:
            return sorted(by_id, key=lambda actor: actor.first_at.timestamp(), reverse=True)


def _latest_first(memories: Sequence[Memory], moment: Callable[[Memory], datetime]) -> list[Memory]:
    return sorted(memories, key=lambda memory: moment(memory).timestamp(), reverse=True)
