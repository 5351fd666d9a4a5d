"""Requests that name themselves with an idempotency key, and their answers."""

from dataclasses import dataclass
from datetime import datetime

from commonplace.model.errors import CommonplaceError, Conflict
from commonplace.ports.table import (
    TTL_ATTRIBUTE,
    Absent,
    ConditionFailed,
    Delete,
    Item,
    Key,
    Put,
    RevisionIs,
    Table,
    Value,
)
from commonplace.rows import keys
from commonplace.rows.codec import Reader, present


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRequest:
    """A request under its key. ``answer`` is None while it is in work, which is believed until ``locked_until``.

    ``fingerprint`` tells another request under the same key apart; nothing of it is known any more after
    ``forgotten_at``.
    """

    tenant: str
    key: str
    fingerprint: str
    locked_until: datetime
    forgotten_at: datetime
    status: int = 0
    answer: str | None = None
    revision: int = 1


class NamedRequests:
    """The requests of all tenants."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def claim(self, request: NamedRequest, over: NamedRequest | None = None) -> NamedRequest | None:
        """Writes a request that is now in work, in the place of ``over``. None if that succeeded; else what is there.

        Raises ``Conflict`` if someone else was quicker to take the place of ``over``.
        """
        condition = Absent() if over is None else RevisionIs(over.revision)
        try:
            await self._table.transact([Put(_key(request), _encoded(request), condition)])
        except ConditionFailed as failed:
            item = failed.items[0]
            if over is not None or item is None:
                raise _taken() from failed
            return _decoded(item)
        return None

    async def answer(self, request: NamedRequest) -> None:
        """Writes the answer of a request."""
        await self._table.transact([Put(_key(request), _encoded(request))])

    async def release(self, request: NamedRequest) -> None:
        """Forgets a request that had no effect, so that it can be made again under its key."""
        await self._table.transact([Delete(_key(request))])


def _taken() -> CommonplaceError:
    return Conflict("A request with this Idempotency-Key is being worked on")


def _key(request: NamedRequest) -> Key:
    return keys.request(request.tenant, request.key)


def _encoded(request: NamedRequest) -> dict[str, Value]:
    return present(
        {
            "noun": "request",
            "tenant": request.tenant,
            "key": request.key,
            "fingerprint": request.fingerprint,
            "locked_until": request.locked_until,
            "forgotten_at": request.forgotten_at,
            "status": request.status,
            "answer": request.answer,
            "revision": request.revision,
            TTL_ATTRIBUTE: int(request.forgotten_at.timestamp()),
        }
    )


def _decoded(item: Item) -> NamedRequest:
    row = Reader(item.attributes)
    return NamedRequest(
        tenant=row.string("tenant"),
        key=row.string("key"),
        fingerprint=row.string("fingerprint"),
        locked_until=row.moment("locked_until"),
        forgotten_at=row.moment("forgotten_at"),
        status=row.whole("status"),
        answer=row.maybe("answer"),
        revision=row.whole("revision"),
    )
