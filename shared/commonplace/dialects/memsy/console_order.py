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
    places: Mapping[MemorySort, Callable[[Memory], float]] = {
        MemorySort.OBSERVED_LAST: lambda memory: -memory.occurred_at.timestamp(),
        MemorySort.OBSERVED_FIRST: lambda memory: memory.occurred_at.timestamp(),
        MemorySort.STRONGEST: lambda memory: -strengths[memory.id],
        MemorySort.SUREST: lambda memory: -insight(memory).confidence,
        MemorySort.CREATED_LAST: lambda memory: -memory.created_at.timestamp(),
    }
    place = places[order.sort]
    return sorted(memories, key=lambda memory: (place(memory), memory.id))


ACTOR_PLACES: Mapping[ActorSort, Callable[[Actor], float]] = {
    ActorSort.BEGAN_LAST: lambda actor: -actor.first_at.timestamp(),
    ActorSort.BEGAN_FIRST: lambda actor: actor.first_at.timestamp(),
    ActorSort.LAST: lambda actor: -actor.last_at.timestamp(),
    ActorSort.NAME: lambda _: 0.0,
}


def ordered_actors(order: ActorListing, actors: Sequence[Actor]) -> list[Actor]:
    """Those of the actors that the list shows, in its order; those that it leaves open by their ids."""
    text = "" if order.text is None else order.text.casefold()
    place = ACTOR_PLACES[order.sort]
    shown = (actor for actor in actors if text in actor.id.casefold())
    return sorted(shown, key=lambda actor: (place(actor), actor.id))
