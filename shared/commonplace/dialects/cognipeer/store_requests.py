"""Cognipeer's requests about stores, and the core values that they ask for."""

from dataclasses import dataclass

from commonplace.dialects.cognipeer.config import given
from commonplace.dialects.cognipeer.fields import MOST_DESCRIPTION, MOST_NAME, Fields
from commonplace.dialects.cognipeer.query import Parameters, Query
from commonplace.dialects.cognipeer.slug import store_key
from commonplace.model.store import Store, StoreChange, StoreOrder, StoreStatus
from commonplace.model.values import Json


def store_order(body: Json, *, by: str, epoch_milliseconds: int) -> StoreOrder:
    """POST /stores. The key is made of the name, or of the time where nothing of the name can be spelt."""
    fields = Fields(body)
    name = fields.required("name", MOST_NAME)
    provider = fields.required("vectorProviderKey")
    model = fields.required("embeddingModelKey")
    return StoreOrder(
        key=store_key(name, epoch_milliseconds),
        name=name,
        vector_provider=provider,
        embedding_model=model,
        description=fields.text("description", most=MOST_DESCRIPTION),
        config=given(fields) or {},
        by=by,
    )


def store_change(body: Json, *, by: str) -> StoreChange:
    """PATCH /stores/{key}. An empty object changes nothing but who was here last, and when."""
    fields = Fields(body)
    name = fields.told("name", MOST_NAME)
    status = fields.choice("status", tuple(StoreStatus))
    return StoreChange(
        name=name,
        status=None if status is None else StoreStatus(status),
        description=fields.text("description", most=MOST_DESCRIPTION),
        config=given(fields),
        by=by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreQuery:
    """Which stores a list asks for. A status that does not exist is that of no store."""

    status: str | None = None
    search: str | None = None

    def means(self, store: Store) -> bool:
        """Whether the list shows this store."""
        return (self.status is None or store.status.value == self.status) and (
            self.search is None
            or any(
                self.search.casefold() in text.casefold() for text in (store.name, store.key, store.description or "")
            )
        )


def store_query(query: Query) -> StoreQuery:
    """The query string of GET /stores."""
    parameters = Parameters(query)
    return StoreQuery(status=parameters.text("status"), search=parameters.text("search"))
