"""The Index port on OpenSearch with its k-NN plugin."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from commonplace.adapters.aws.opensearch_query import body, key, meant, nearest, own_words, owner, saying
from commonplace.model.document import Arm, Candidate, Document, Findings, Probe, Removal
from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.filter import Filter
from commonplace.model.space import Space
from commonplace.ports.index import Index, Outcome

if TYPE_CHECKING:
    from opensearchpy import AsyncOpenSearch, TransportError

FIRST_PAUSE = 0.1

MAX_BULK = 500
"""Documents in one bulk."""

MAX_BULK_BYTES = 1_000_000
"""Bytes in one bulk. A managed domain takes 10 MiB on its small instances, but aiohttp warns above 1 MiB, because it hands
a body to the socket at one go, and meanwhile nothing else runs."""

MAX_CANDIDATES = 10_000
"""The most that one search gives (``index.max_result_window``)."""

_CONFLICT, _MISSING, _BUSY = 409, 404, 429
_ITS_OWN_FAULT = {400, 413, 422}
"""Statuses that speak of a document; others, such as 403 for an index that takes no writes, speak of the cluster."""
_REFUSED = (401, 403)

_HASHED = re.compile(r"-[0-9a-f]{12}\Z")
_MOST_LEFTOVERS = 10


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
    """One index for each space, behind an alias; a document is stored on the shard that its tenant leads to.

    Tenants share an index, and so the statistics of words in it: how rare a word is, is counted over all of a shard.
    Documents are versioned by OpenSearch itself (``external_gte``); it remembers a removal for 15 minutes
    (``index.gc_deletes``), after which the rows alone know that a memory is gone.

    Between ``renew`` and ``retire`` there are two indexes behind the alias. Writes go to the new one and removals to
    both. A memory that both have is found once, but its two copies count against ``k``.
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

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        """As the port says; what the cluster is too busy for is sent again for ``Patience.busy`` seconds."""
        if not documents:
            return []
        await self._provide(space)
        actions: dict[int, bytes] = {}
        outcomes: list[Outcome] = [None] * len(documents)
        for position, document in enumerate(documents):
            if len(document.vector) != space.dimension:
                outcomes[position] = Invalid(
                    f"The vector has {len(document.vector)} dimensions and not {space.dimension}"
                )
            else:
                at = _at(document.tenant, document.memory, document.passage, document.version)
                actions[position] = _lines({"index": {**at, "require_alias": True}}, body(document))
        for position, outcome in (await self._written(space, self._alias(space), actions)).items():
            outcomes[position] = outcome
        return outcomes

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        """As the port says, in every index of the space.

        Which ones there are is asked each time: a removal of a known version makes the index that it does not find.
        """
        if not removals:
            return []
        actions = {
            position: _lines({"delete": _at(removal.tenant, removal.memory, removal.passage, removal.version)})
            for position, removal in enumerate(removals)
        }
        outcomes: list[Outcome] = [None] * len(removals)
        for name in await self._indexes(space):
            for position, outcome in (await self._written(space, name, actions)).items():
                outcomes[position] = outcomes[position] or outcome
        return outcomes

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        """As the port says, both arms in one request. Of a memory that was found in several versions, only what is of the
        newest. Raises ``Invalid`` for a vector that is not of the space."""
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
            "routing": owner(probe.tenant),
            "ignore_unavailable": True,
            "allow_partial_search_results": False,
        }
        lines = _lines(*(line for search in searches.values() for line in (header, search)))
        async with self._asking(self._patience.search) as client:
            answer = await client.msearch(body=lines, params={"request_timeout": self._patience.search})
        found = {name: _arm(name, said) for name, said in zip(searches, answer["responses"], strict=True)}
        failures = [arm.failure for arm in found.values() if arm.failure is not None]
        if len(failures) == len(found):
            raise Unavailable(f"The index cannot be asked now ({'; '.join(failures)})")
        newest = _newest(found.values())
        return Findings(*(_current(found.get(name, Arm()), newest) for name in ("vectors", "words")))

    async def spaces(self) -> list[Space]:
        """As the port says, by name."""
        async with self._asking(self._patience.search) as client:
            mappings = await client.indices.get_mapping(
                index=f"{self._layout.prefix}-*",
                params={"request_timeout": self._patience.search, "filter_path": "*.mappings._meta"},
            )
        metas = [index["mappings"]["_meta"] for index in mappings.values()]
        ours = {Space(meta["model"], meta["dimension"]) for meta in metas if {"model", "dimension"} <= meta.keys()}
        return sorted(ours, key=lambda space: space.name)

    async def renew(self, space: Space) -> None:
        """As the port says. A run that was broken off goes on with the index that it made."""
        self._known.discard(space)
        await self._provide(space)
        names = await self._indexes(space)
        if len(names) != 1:
            return
        alias = self._alias(space)
        number = int(names[0].rpartition("-")[2]) + 1
        await self._make(space, f"{alias}-{number:06d}", {})
        async with self._asking(self._patience.write) as client:
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
            async with self._asking(self._patience.write) as client:
                actions = [{"remove_index": {"index": name}} for name in old]
                await client.indices.update_aliases(
                    body={"actions": actions}, params={"request_timeout": self._patience.write}
                )

    async def _indexes(self, space: Space) -> list[str]:
        """The names of the indexes behind the alias of a space, the oldest first."""
        from opensearchpy import NotFoundError

        async with self._asking(self._patience.search) as client:
            try:
                found = await client.indices.get_alias(
                    name=self._alias(space), params={"request_timeout": self._patience.search}
                )
            except NotFoundError:
                return []
        return sorted(found)

    def _alias(self, space: Space) -> str:
        """The alias of a space. A model's name that OpenSearch does not take as it is, or that looks like one of those,
        stands with its hash."""
        written = re.sub(r"[^a-z0-9._-]", "-", space.model.lower())
        if written != space.model or len(written) > 100 or _HASHED.search(written):  # noqa: PLR2004 - names end at 255 bytes
            digest = hashlib.sha256(space.model.encode("utf-8", "surrogatepass")).hexdigest()
            written = f"{written[:80]}-{digest[:12]}"
        return f"{self._layout.prefix}-{written}-{space.dimension}"

    async def _provide(self, space: Space) -> None:
        """Makes the index of a space, unless it is there or another is making it just now. Raises ``Unavailable``."""
        if space in self._known:
            return
        alias = self._alias(space)
        for number in range(1, _MOST_LEFTOVERS):
            # An index of such a name that is not behind the alias is what a removal has made that came when its index was
            # just gone.
            if (
                await self._indexes(space)
                or await self._make(space, f"{alias}-{number:06d}", {alias: {"is_write_index": True}})
                or await self._indexes(space)
            ):
                self._known.add(space)
                return
        raise Unavailable(f"There are indexes named {alias}-... that are not behind the alias")

    async def _make(self, space: Space, name: str, aliases: Mapping[str, Any]) -> bool:
        """Makes an index; False if there is one of that name."""
        from opensearchpy import RequestError

        definition = {**self._definition(space), "aliases": aliases}
        async with self._asking(self._patience.write) as client:
            try:
                await client.indices.create(
                    index=name, body=definition, params={"request_timeout": self._patience.write}
                )
            except RequestError as error:
                if error.error != "resource_already_exists_exception":
                    raise
                return False
        return True

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

    async def _written(self, space: Space, index: str, actions: Mapping[int, bytes]) -> dict[int, Outcome]:
        """For each action by its position None, or why it was not done. Raises ``Unavailable`` if none was even tried."""
        outcomes: dict[int, Outcome] = {}
        left, pause = dict(actions), FIRST_PAUSE
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience.busy
        while left:
            try:
                for batch in _batches(left):
                    items = await self._bulk(index, b"".join(left[position] for position in batch))
                    for position, item in zip(batch, items, strict=True):
                        outcomes[position] = _outcome(item)
                        if item["status"] == _MISSING and "error" in item:
                            self._known.discard(space)  # the index was deleted; the next write makes it anew
                        if item["status"] != _BUSY:
                            del left[position]
            except Unavailable as error:
                if not outcomes:
                    raise
                return {**dict.fromkeys(left, error), **outcomes}
            if left:
                if loop.time() + pause > deadline:
                    break
                await asyncio.sleep(pause)
                pause *= 2
        return outcomes

    async def _bulk(self, index: str, lines: bytes) -> list[dict[str, Any]]:
        async with self._asking(self._patience.write) as client:
            answer = await client.bulk(
                body=lines,
                index=index,
                params={"refresh": "wait_for", "request_timeout": self._patience.write},
            )
        return [next(iter(item.values())) for item in answer["items"]]

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator["AsyncOpenSearch"]:
        """The client, for calls that end within so many seconds with all that it repeats; its errors as ours."""
        from opensearchpy import ConnectionError as NotConnected
        from opensearchpy import OpenSearchException, TransportError

        client = await self._connect()
        try:
            async with asyncio.timeout(seconds):
                yield client
        except (TimeoutError, NotConnected) as error:
            raise Unavailable("The index does not answer") from error
        except TransportError as error:
            raise Unavailable(_refusal(error)) from error
        except OpenSearchException as error:
            raise Unavailable("The index gave an answer that nobody understands") from error


def definition_v1() -> dict[str, Any]:
    """The settings and mappings of an index, version 1; ``infra/index`` shows all versions."""
    found: dict[str, Any] = json.loads(
        resources.files(__package__).joinpath("opensearch_index.v1.json").read_text(encoding="utf-8")
    )
    return found


def _at(tenant: str, memory: str, passage: int, version: int) -> dict[str, Any]:
    return {
        "_id": key(tenant, memory, passage),
        "routing": owner(tenant),
        "version": version,
        "version_type": "external_gte",
    }


def _lines(*parts: Mapping[str, Any]) -> bytes:
    """Lines of JSON. Half a surrogate pair, which is no Unicode, becomes a question mark."""
    return b"".join(
        json.dumps(part, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n" for part in parts
    )


def _batches(actions: Mapping[int, bytes]) -> Iterator[list[int]]:
    """The positions in batches that one bulk takes."""
    batch: list[int] = []
    room = MAX_BULK_BYTES
    for position, lines in list(actions.items()):
        if batch and (len(batch) == MAX_BULK or len(lines) > room):
            yield batch
            batch, room = [], MAX_BULK_BYTES
        batch.append(position)
        room -= len(lines)
    yield batch


def _outcome(item: Mapping[str, Any]) -> Outcome:
    """None where the document now is, or already was, as new as it was to be; else why it is not."""
    error, status = item.get("error"), item["status"]
    if error is None or status == _CONFLICT:
        return None
    cause = error.get("caused_by", {}).get("reason")
    reason = f"{error['type']}: {own_words(error['reason'])}" + (f" ({own_words(cause)})" if cause else "")
    return Invalid(reason) if status in _ITS_OWN_FAULT else Unavailable(reason)


def _refusal(error: "TransportError") -> str:
    """What to tell of an answer that says no."""
    if error.status_code in _REFUSED:
        return (
            f"The index refused the call ({error.status_code}): the permissions of the function, the access policy of the "
            "domain and the role mapping inside of it must all allow it, with credentials that are still good"
        )
    said = ": ".join(str(part) for part in (error.status_code, error.error, error.info) if part)
    return f"The index did not do it ({said})"


def _arm(name: str, said: Mapping[str, Any]) -> Arm:
    error = said.get("error")
    if error is not None:
        reasons = dict.fromkeys(own_words(cause.get("reason")) for cause in error.get("root_cause", ()))
        return Arm(failure=f"{name}: {error['type']}: {'; '.join(reasons)}")
    if said.get("timed_out"):
        return Arm(failure=f"{name}: timed out")
    if said.get("_shards", {}).get("failed"):
        return Arm(failure=f"{name}: {said['_shards']['failed']} of {said['_shards']['total']} shards failed")
    took = float(said["took"])
    return Arm(tuple(_candidate(name, hit) for hit in said["hits"]["hits"]), milliseconds=took)


def _newest(arms: Iterable[Arm]) -> dict[str, int]:
    """The newest version of each memory that was found."""
    newest: dict[str, int] = {}
    for arm in arms:
        for candidate in arm.candidates:
            newest[candidate.memory] = max(candidate.version, newest.get(candidate.memory, candidate.version))
    return newest


def _current(arm: Arm, newest: Mapping[str, int]) -> Arm:
    """An arm without what is out of date, and with each passage once: the core would take a memory for an old one by any
    candidate of it that is old."""
    current: dict[tuple[str, int], Candidate] = {}
    for candidate in arm.candidates:
        if candidate.version == newest[candidate.memory]:
            current.setdefault((candidate.memory, candidate.passage), candidate)
    return arm if len(current) == len(arm.candidates) else replace(arm, candidates=tuple(current.values()))


def _candidate(name: str, hit: Mapping[str, Any]) -> Candidate:
    fields = hit["fields"]
    score = float(hit["_score"])
    if name == "vectors":
        # OpenSearch's score for cosinesimil is (1 + cosine) / 2.
        score = max(-1.0, min(1.0, 2 * score - 1))
    return Candidate(fields["memory"][0], fields["passage"][0], hit["_version"], score)
