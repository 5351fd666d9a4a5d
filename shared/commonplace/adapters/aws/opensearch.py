"""The Index port on OpenSearch with its k-NN plugin."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

from commonplace.adapters.aws.opensearch_query import body, key, meant, nearest, saying
from commonplace.model.document import Arm, Candidate, Document, Findings, Probe, Removal
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.ports.index import Index

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch

FIRST_PAUSE = 0.1

MAX_BULK = 500
"""Documents in one bulk."""

MAX_BULK_BYTES = 5_000_000
"""Bytes of text in one bulk: OpenSearch advises 5 to 15 MB; a managed domain takes 10 MiB on its small instances."""

MAX_CANDIDATES = 10_000
"""The most that one search gives (``index.max_result_window``)."""

_CONFLICT, _MISSING, _BUSY = 409, 404, 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How indexes are made. ``prefix`` begins the name of every index and alias; ``refresh`` is how long a document may
    stay unseen (``200ms``)."""

    engine: str = "lucene"
    shards: int = 1
    replicas: int = 0
    refresh: str = "200ms"
    prefix: str = "commonplace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that a search and a write may take, the latter with its wait for the refresh; and for how long documents
    that the cluster was too busy to take are sent again. Together below the 25 s of a function."""

    search: float = 5.0
    write: float = 10.0
    busy: float = 6.0


_PATIENT = Patience()


class OpenSearchIndex(Index):
    """One index for each space, behind an alias; a document is stored on the shard that its tenant's name leads to.

    Tenants share an index, and so the statistics of words in it: how rare a word is, is counted over all of a shard.
    Documents are versioned by OpenSearch itself (``external_gte``); it remembers a removal for 15 minutes
    (``index.gc_deletes``), after which the rows alone know that a memory is gone.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable["AsyncOpenSearch"]],
        layout: Layout,
        patience: Patience = _PATIENT,
    ) -> None:
        """``connect`` gives the client, always the same."""
        self._connect = connect
        self._layout = layout
        self._patience = patience
        self._known: set[Space] = set()

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[str | None]:
        """As the port says; what the cluster is too busy for is sent again for ``Patience.busy`` seconds."""
        if not documents:
            return []
        await self._provide(space)
        actions: dict[int, list[dict[str, Any]]] = {}
        outcomes: list[str | None] = [None] * len(documents)
        for position, document in enumerate(documents):
            if len(document.vector) != space.dimension:
                outcomes[position] = f"The vector has {len(document.vector)} dimensions and not {space.dimension}"
            else:
                at = _at(document.tenant, document.memory, document.passage, document.version)
                actions[position] = [{"index": {**at, "require_alias": True}}, body(document)]
        for position, outcome in (await self._written(space, actions)).items():
            outcomes[position] = outcome
        return outcomes

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[str | None]:
        """As the port says."""
        if not removals or not await self._exists(space):  # or the bulk would make an index of that name
            return [None] * len(removals)
        actions = {
            position: [{"delete": _at(removal.tenant, removal.memory, removal.passage, removal.version)}]
            for position, removal in enumerate(removals)
        }
        outcomes = await self._written(space, actions)
        return [outcomes[position] for position in range(len(removals))]

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        """As the port says, both arms in one request. Raises ``Invalid`` for a vector that is not of the space."""
        vector, k = probe.vector, min(probe.k, MAX_CANDIDATES)
        if vector is not None and len(vector) != space.dimension:
            raise Invalid(f"The vector has {len(vector)} dimensions and not {space.dimension}")
        inside = meant(probe.tenant, filter)
        searches: dict[str, dict[str, Any]] = {}
        if k > 0 and vector is not None and any(vector):
            searches["vectors"] = nearest(vector, k, inside)
        if k > 0 and probe.text is not None:
            searches["words"] = saying(probe.text, k, inside)
        if not searches:
            return Findings(Arm(), Arm())
        header = {
            "index": self._alias(space),
            "routing": probe.tenant,
            "ignore_unavailable": True,
            "allow_partial_search_results": False,
        }
        lines = [line for search in searches.values() for line in (header, search)]
        async with self._asking() as client:
            answer = await client.msearch(body=lines, params={"request_timeout": self._patience.search})
        found = {name: _arm(name, said) for name, said in zip(searches, answer["responses"], strict=True)}
        if all(arm.failure is not None for arm in found.values()):
            raise Unavailable("The index cannot be asked now")
        return Findings(found.get("vectors", Arm()), found.get("words", Arm()))

    async def spaces(self) -> list[Space]:
        """As the port says, by name."""
        async with self._asking() as client:
            mappings = await client.indices.get_mapping(
                index=f"{self._layout.prefix}-*",
                params={"request_timeout": self._patience.search, "filter_path": "*.mappings._meta"},
            )
        metas = [index["mappings"]["_meta"] for index in mappings.values()]
        return sorted({Space(meta["model"], meta["dimension"]) for meta in metas}, key=lambda space: space.name)

    async def renew(self, space: Space) -> None:
        """As the port says. A run that was broken off goes on with the index that it made."""
        await self._provide(space)
        names = await self._indexes(space)
        if len(names) > 1:
            return
        alias = self._alias(space)
        number = int(names[0].rpartition("-")[2]) + 1
        async with self._asking() as client:
            await self._make(client, space, f"{alias}-{number:06d}")
            await client.indices.update_aliases(
                body={
                    "actions": [
                        {"add": {"index": names[0], "alias": alias, "is_write_index": False}},
                        {"add": {"index": f"{alias}-{number:06d}", "alias": alias, "is_write_index": True}},
                    ]
                },
                params={"request_timeout": self._patience.write},
            )

    async def retire(self, space: Space) -> None:
        """As the port says."""
        old = (await self._indexes(space))[:-1]
        if old:
            async with self._asking() as client:
                actions = [{"remove_index": {"index": name}} for name in old]
                await client.indices.update_aliases(
                    body={"actions": actions}, params={"request_timeout": self._patience.write}
                )

    async def _indexes(self, space: Space) -> list[str]:
        """The names of the indexes behind the alias of a space, the oldest first."""
        async with self._asking() as client:
            found = await client.indices.get_alias(
                name=self._alias(space), params={"request_timeout": self._patience.search}
            )
        return sorted(found)

    def _alias(self, space: Space) -> str:
        """The alias of a space. A model's name that OpenSearch does not take as it is stands with its hash."""
        written = re.sub(r"[^a-z0-9._-]", "-", space.model.lower())
        if written != space.model or len(written) > 100:  # noqa: PLR2004 - names end at 255 bytes
            written = f"{written[:80]}-{hashlib.sha256(space.model.encode()).hexdigest()[:12]}"
        return f"{self._layout.prefix}-{written}-{space.dimension}"

    async def _exists(self, space: Space) -> bool:
        if space not in self._known:
            async with self._asking() as client:
                there = await client.indices.exists_alias(
                    name=self._alias(space), params={"request_timeout": self._patience.search}
                )
            if not there:
                return False
            self._known.add(space)
        return True

    async def _provide(self, space: Space) -> None:
        """Makes the index of a space, unless it is there or another is making it just now."""
        if not await self._exists(space):
            alias = self._alias(space)
            async with self._asking() as client:
                await self._make(client, space, f"{alias}-000001", {alias: {"is_write_index": True}})
            self._known.add(space)

    async def _make(
        self, client: "AsyncOpenSearch", space: Space, name: str, aliases: Mapping[str, Any] | None = None
    ) -> None:
        from opensearchpy import RequestError

        try:
            await client.indices.create(
                index=name,
                body={**self._definition(space), "aliases": aliases or {}},
                params={"request_timeout": self._patience.write},
            )
        except RequestError as error:
            if error.error != "resource_already_exists_exception":
                raise

    def _definition(self, space: Space) -> dict[str, Any]:
        definition = definition_v1()
        definition["settings"]["index"] |= {
            "number_of_shards": self._layout.shards,
            "number_of_replicas": self._layout.replicas,
            "refresh_interval": self._layout.refresh,
        }
        definition["mappings"]["_meta"] |= {"model": space.model, "dimension": space.dimension}
        vector = definition["mappings"]["properties"]["vector"]
        vector["dimension"] = space.dimension
        vector["method"]["engine"] = self._layout.engine
        return definition

    async def _written(self, space: Space, actions: Mapping[int, list[dict[str, Any]]]) -> dict[int, str | None]:
        """For each action by its position None, or why it was not done."""
        outcomes: dict[int, str | None] = {}
        left, pause = dict(actions), FIRST_PAUSE
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.busy
        while left:
            for batch in _batches(left):
                for position, item in zip(batch, await self._bulk(space, left, batch), strict=True):
                    outcomes[position] = _outcome(item)
                    if item["status"] == _MISSING and "error" in item:
                        self._known.discard(space)  # the index was deleted; the next write makes it anew
                    if item["status"] != _BUSY:
                        del left[position]
            if left:
                if loop.time() + pause > deadline:
                    break
                await asyncio.sleep(pause)
                pause *= 2
        return outcomes

    async def _bulk(
        self, space: Space, actions: Mapping[int, list[dict[str, Any]]], batch: Sequence[int]
    ) -> list[dict[str, Any]]:
        lines = [line for position in batch for line in actions[position]]
        async with self._asking() as client:
            answer = await client.bulk(
                body=lines,
                index=self._alias(space),
                params={"refresh": "wait_for", "request_timeout": self._patience.write},
            )
        return [next(iter(item.values())) for item in answer["items"]]

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator["AsyncOpenSearch"]:
        """The client; its errors as ours."""
        from opensearchpy import OpenSearchException, TransportError

        client = await self._connect()
        try:
            yield client
        except TransportError as error:
            raise Unavailable(f"The index does not answer ({error.status_code}: {error.error})") from error
        except OpenSearchException as error:
            raise Unavailable("The index does not answer") from error


def definition_v1() -> dict[str, Any]:
    """The settings and mappings of an index, version 1; ``infra/index`` shows all versions."""
    found: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("opensearch_index.v1.json").read_text(encoding="utf-8")
    )
    return found


def _at(tenant: str, memory: str, passage: int, version: int) -> dict[str, Any]:
    return {
        "_id": key(tenant, memory, passage),
        "routing": tenant,
        "version": version,
        "version_type": "external_gte",
    }


def _batches(actions: Mapping[int, list[dict[str, Any]]]) -> Iterator[list[int]]:
    """The positions in batches that one bulk takes."""
    batch: list[int] = []
    room = MAX_BULK_BYTES
    for position, lines in list(actions.items()):
        size = _size(lines)
        if batch and (len(batch) == MAX_BULK or size > room):
            yield batch
            batch, room = [], MAX_BULK_BYTES
        batch.append(position)
        room -= size
    yield batch


def _size(lines: list[dict[str, Any]]) -> int:
    """About the bytes of an action: its text and its vector are what counts."""
    document = lines[-1]
    return 1_000 + 22 * len(document.get("vector", ())) + 4 * len(document.get("content", ""))


def _outcome(item: Mapping[str, Any]) -> str | None:
    """None where the document now is, or already was, as new as it was to be; else why it is not."""
    error = item.get("error")
    if error is None or item["status"] == _CONFLICT:
        return None
    cause = error.get("caused_by", {}).get("reason")
    return f"{error['type']}: {error['reason']}" + (f" ({cause})" if cause else "")


def _arm(name: str, said: Mapping[str, Any]) -> Arm:
    error = said.get("error")
    if error is not None:
        reasons = [cause.get("reason") for cause in error.get("root_cause", ())]
        return Arm(failure=f"{name}: {error['type']}: {'; '.join(map(str, reasons))}")
    if said.get("timed_out"):
        return Arm(failure=f"{name}: timed out")
    took = float(said["took"])
    return Arm(tuple(_candidate(name, hit) for hit in said["hits"]["hits"]), milliseconds=took)


def _candidate(name: str, hit: Mapping[str, Any]) -> Candidate:
    fields = hit["fields"]
    score = float(hit["_score"])
    if name == "vectors":
        # OpenSearch's score for cosinesimil is (1 + cosine) / 2.
        score = max(-1.0, min(1.0, 2 * score - 1))
    return Candidate(fields["memory"][0], fields["passage"][0], hit["_version"], score)
