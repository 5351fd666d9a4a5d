"""What the index on OpenSearch promises beyond the port; the port's own suite is tests/contract/test_index.py.

``Real`` tests ask a node, all others a server that answers as it is told to. Faiss is only tested by what is sent: the
k-NN plugin from Maven comes without its native libraries, and a node that is asked for them ends.
"""

import asyncio
import json
import logging
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import CredentialRetrievalError

from commonplace.adapters.aws.opensearch import (
    FIRST_PAUSE,
    MAX_BULK,
    MAX_BULK_BYTES,
    Layout,
    OpenSearchIndex,
    Patience,
    definition_v1,
)
from commonplace.adapters.aws.opensearch_client import RETRIES, connected
from commonplace.adapters.aws.opensearch_query import LONGEST_REASON, MOST_WORDS, key, owner
from commonplace.model.document import Arm, Candidate, Findings, Probe, Removal
from commonplace.model.errors import CommonplaceError, Unavailable
from commonplace.model.filter import Among, Filter
from commonplace.model.scope import Scope
from commonplace.model.space import Space
from contract.consumers import kept
from contract.index_writer import EAST, SPACE, Writer, ids, unit
from opensearch_server import Cut, Fault, Hang, OpenSearchServer, finds, hit, serving

pytestmark = pytest.mark.anyio

SECRET = "wJalrXUtnFEMIexamplekey"
TOKEN = "FwoGZXIvYXdzexampletoken"
TENANT = "acme"
BOTH = Probe(tenant=TENANT, vector=EAST, text="kettle", k=10)
ALIAS = "commonplace-letters-8"
ROOT = Path(__file__).parents[2]


@dataclass
class Credentials:
    """Credentials as aiobotocore has them, of a session that has nothing else."""

    secret_key: str = SECRET
    access_key: str = "AKIDEXAMPLE"
    token: str | None = TOKEN
    error: Exception | None = None
    region_name: str = "eu-central-1"

    @property
    def _session(self) -> "Credentials":
        return self

    async def get_credentials(self) -> "Credentials":
        return self

    async def get_frozen_credentials(self) -> SimpleNamespace:
        if self.error is not None:
            raise self.error
        return SimpleNamespace(access_key=self.access_key, secret_key=self.secret_key, token=self.token)


@dataclass
class Node:
    """A real one, with room of its own."""

    url: str
    client: Any
    prefix: str = field(default_factory=lambda: f"test-{uuid4()}")

    def index(self, **layout: Any) -> OpenSearchIndex:
        return OpenSearchIndex(kept(self.client), Layout(**{"refresh": "20ms", "prefix": self.prefix, **layout}))

    async def there(self) -> list[str]:
        """The names of the indexes."""
        return sorted(await self.client.indices.get(index=f"{self.prefix}*"))


@pytest.fixture
async def node(opensearch_url: str) -> AsyncIterator[Node]:
    async with connected(opensearch_url, Credentials()) as client:
        node = Node(opensearch_url, client)
        yield node
        for name in await node.there():
            await client.indices.delete(index=name)


@pytest.fixture
async def server() -> AsyncIterator[OpenSearchServer]:
    async with serving() as server:
        yield server


@asynccontextmanager
async def opened(
    server: OpenSearchServer, credentials: Credentials | None = None, **patience: float
) -> AsyncIterator[OpenSearchIndex]:
    async with connected(server.url, credentials or Credentials()) as client:
        yield OpenSearchIndex(kept(client), Layout(), Patience(**patience))


@pytest.fixture
async def index(server: OpenSearchServer) -> AsyncIterator[OpenSearchIndex]:
    async with opened(server) as index:
        yield index


def writer(index: OpenSearchIndex) -> Writer:
    return Writer(index, TENANT)


def id_of(memory: str) -> str:
    return key(TENANT, memory, 0)


def failed(status: int, kind: str, reason: str, cause: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"type": kind, "reason": reason}
    return {"status": status, "error": error if cause is None else {**error, "caused_by": {"reason": cause}}}


BUSY = failed(429, "rejected_execution_exception", "rejected execution of coordinating operation")
ARM_FAILED = {
    "error": {
        "root_cause": [{"type": "query_shard_exception", "reason": 'failed to create query: "kettle"'}],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
    },
    "status": 400,
}


# On a real node.


async def test_real_two_that_write_first_at_the_same_moment_make_one_index_and_lose_nothing(node: Node) -> None:
    async with connected(node.url, Credentials()) as other:
        one, two = node.index(), OpenSearchIndex(kept(other), Layout(refresh="20ms", prefix=node.prefix))
        here, there = Writer(one, TENANT), Writer(two, TENANT)
        await asyncio.gather(
            *(writer.put(f"{name}{n}") for n in range(4) for name, writer in (("a", here), ("b", there)))
        )
        assert await node.there() == [f"{node.prefix}-letters-8-000001"]
        assert len(await here.near(k=20)) == len(await there.saying("nothing", k=20)) == 8


async def test_real_an_index_is_made_as_the_layout_says_and_knows_its_space(node: Node) -> None:
    await writer(node.index(engine="lucene", shards=2, replicas=1, refresh="333ms")).put("a")
    ((name, made),) = (await node.client.indices.get(index=f"{node.prefix}-*")).items()
    settings, mappings = made["settings"]["index"], made["mappings"]
    assert name == f"{node.prefix}-letters-8-000001"
    assert made["aliases"] == {f"{node.prefix}-letters-8": {"is_write_index": True}}
    assert (settings["number_of_shards"], settings["number_of_replicas"]) == ("2", "1")
    assert (settings["refresh_interval"], settings["gc_deletes"]) == ("333ms", "15m")
    assert mappings["_meta"] == {"version": 1, "model": "letters", "dimension": 8}
    assert mappings["properties"]["vector"]["dimension"] == 8
    assert mappings["properties"]["vector"]["method"]["engine"] == "lucene"
    assert mappings["dynamic"] == "false"


def test_the_definition_is_the_one_that_infra_shows() -> None:
    assert json.loads((ROOT / "infra/index/v1.json").read_text()) == definition_v1()


async def test_with_faiss_the_index_is_asked_to_use_faiss(server: OpenSearchServer) -> None:
    server.indexes = []
    async with connected(server.url, Credentials()) as client:
        await writer(OpenSearchIndex(kept(client), Layout(engine="faiss"))).put("a")
    (made,) = [json.loads(call.body) for call in server.calls if call.method == "PUT"]
    assert made["mappings"]["properties"]["vector"]["method"]["engine"] == "faiss"
    assert made["mappings"]["properties"]["vector"]["method"]["space_type"] == "cosinesimil"


async def test_real_any_name_of_a_model_makes_an_alias_of_its_own_and_is_given_back(node: Node) -> None:
    models = [
        "Org/Model:v1.5",
        "org/model:v1.5",
        "org-model-v1.5",
        "-_+",
        "modèle 模型",
        'a,b*?<|>\\"#',
        "x" * 300,
        "Ä",
    ]
    spaces = [Space(model, 2) for model in models]
    index = node.index()
    for space in spaces:
        document = writer(index).document(f"of {space.model[:9]}", vector=(1.0, 0.0))
        assert await index.upsert(space, [document]) == [None]
    assert await index.spaces() == sorted(spaces, key=lambda space: space.name)
    assert len(await node.there()) == len(models)
    for space in spaces:
        found = await index.search(space, Probe(tenant=TENANT, vector=(1.0, 0.0), text=None, k=9), Filter())
        assert ids(found.vectors.candidates) == [f"of {space.model[:9]}"]


async def test_a_name_that_looks_like_a_changed_one_does_not_meet_it(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    probe = Probe(tenant=TENANT, vector=None, text="x", k=1)
    await index.search(Space("A", 8), probe, Filter())
    taken = server.calls[0].lines[0]["index"].removeprefix("commonplace-").removesuffix("-8")
    await index.search(Space(taken, 8), probe, Filter())
    assert taken.startswith("a-")
    assert server.calls[1].lines[0]["index"] != server.calls[0].lines[0]["index"]


async def test_real_while_a_space_is_renewed_writes_go_to_the_new_index_and_searches_see_both(node: Node) -> None:
    index = node.index()
    here = writer(index)
    await here.put("old", vector=unit(0.1))
    await here.put("both", version=1, vector=unit(0.2))
    await index.renew(SPACE)
    first, second = await node.there()
    assert (first[-7:], second[-7:]) == ("-000001", "-000002")
    await here.put("both", version=1, vector=unit(0.2))
    await here.put("new", vector=unit(0.3))
    assert ids(await here.near()) == ["old", "both", "new"]
    assert sorted(ids(await here.saying("nothing"))) == ["both", "new", "old"]
    assert (await node.client.count(index=second))["count"] == 2
    await index.retire(SPACE)
    assert await node.there() == [second]
    assert ids(await here.near()) == ["both", "new"]
    await here.put("more")
    await index.renew(SPACE)
    assert [name[-7:] for name in await node.there()] == ["-000002", "-000003"]


async def test_real_an_old_version_in_the_old_index_does_not_hide_the_new_one(node: Node) -> None:
    index = node.index()
    here = writer(index)
    await here.put("a", version=1, text="a kettle", vector=unit(0.1))
    await index.renew(SPACE)
    await here.put("a", version=2, text="a kettle and a herring", vector=unit(1.0))
    found = await index.search(SPACE, Probe(tenant=TENANT, vector=EAST, text="kettle", k=10), Filter())
    assert [(one.memory, one.version) for one in found.vectors.candidates] == [("a", 2)]
    assert [(one.memory, one.version) for one in found.words.candidates] == [("a", 2)]


async def test_real_what_is_deleted_while_a_space_is_renewed_is_in_neither_index(node: Node) -> None:
    index = node.index()
    here = writer(index)
    for memory in ("a", "b", "c"):
        await here.put(memory, version=1)
    await index.renew(SPACE)
    await here.put("b", version=1)
    await here.remove("a", 2)
    await here.remove("b", 2)
    assert await here.both(Filter()) == {"c"}
    assert (await node.client.count(index=f"{node.prefix}-*"))["count"] == 1


async def test_real_a_renewal_that_was_broken_off_goes_on_with_the_index_that_it_made(node: Node) -> None:
    index = node.index()
    await writer(index).put("a")
    alias = f"{node.prefix}-letters-8"
    await node.client.indices.create(index=f"{alias}-000002", body=definition_v1())  # and no more: it ended here
    await index.renew(SPACE)
    await node.index().renew(SPACE)  # or later
    aliases = await node.client.indices.get_alias(name=alias)
    assert {name: found["aliases"][alias] for name, found in aliases.items()} == {
        f"{alias}-000001": {"is_write_index": False},
        f"{alias}-000002": {"is_write_index": True},
    }


async def test_real_retiring_when_nothing_was_renewed_keeps_everything(node: Node) -> None:
    index = node.index()
    await index.retire(SPACE)
    await writer(index).put("a")
    await index.retire(SPACE)
    assert await writer(index).both(Filter()) == {"a"}


async def test_real_an_index_that_somebody_deleted_is_made_anew_by_the_next_write_but_not_by_a_removal(
    node: Node,
) -> None:
    index = node.index()
    here = writer(index)
    await here.put("a")
    (name,) = await node.there()
    await node.client.indices.delete(index=name)
    await here.remove("a", 2)
    assert await node.there() == []
    assert await here.both(Filter()) == set()
    (error,) = await index.upsert(SPACE, [here.document("b")])
    assert isinstance(error, Unavailable)
    assert "index_not_found_exception" in error.message
    assert await node.there() == []
    await here.put("b")
    assert await here.both(Filter()) == {"b"}
    assert await node.there() == [name]


async def test_real_an_index_that_a_late_removal_left_behind_is_not_taken_for_that_of_the_space(node: Node) -> None:
    await node.client.indices.create(index=f"{node.prefix}-letters-8-000001")
    here = writer(node.index())
    await here.put("a")
    assert await here.both(Filter()) == {"a"}
    assert await node.index().spaces() == [SPACE]


LETTERS = [chr(ord("a") + n % 26) + chr(ord("a") + n // 26 % 26) + chr(ord("a") + n // 676) for n in range(5000)]
SIGNS = [chr(point) for point in range(0x4E00, 0x4E00 + 5000)]
PICTURES = [chr(point) for point in range(0x1F300, 0x1F300 + 700)]


@pytest.mark.parametrize(
    "text",
    [" ".join(LETTERS), "-".join(LETTERS), "".join(SIGNS), "".join(PICTURES), "x" * 100_000, "_".join(LETTERS)],
    ids=["words", "hyphens", "signs", "pictures", "one word", "underscores"],
)
async def test_real_a_query_may_be_long(node: Node, text: str) -> None:
    here = writer(node.index())
    await here.put("a", text=text[:2] if text[0] in "\u4e00\U0001f300" else "aaa x")
    found = await here.saying(text)
    assert ids(found) == ([] if text[0] == "x" else ["a"])


async def test_real_a_query_of_every_sign_there_is_has_no_more_words_than_it_may_have(node: Node) -> None:
    here = writer(node.index())
    await here.put("a")
    signs = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(signs), 30_000):
        block = signs[start : start + 30_000]
        for joint in ("", "a"):
            await here.saying(joint.join(block))


async def test_real_a_filter_may_leave_out_a_thousand_memories(node: Node) -> None:
    here = writer(node.index())
    await here.put("a")
    await here.put("m999")
    assert await here.both(Filter(excluded=tuple(f"m{n}" for n in range(1000)))) == {"a"}


async def test_real_more_than_one_search_gives_is_not_asked_for(node: Node) -> None:
    here = writer(node.index())
    await here.put("a")
    assert await here.both(Filter(), k=1_000_000) == {"a"}


HALF = "half \ud83e pair"


async def test_real_half_a_surrogate_pair_breaks_nothing(node: Node) -> None:
    index = node.index()
    scope = Scope(user=HALF, agent=HALF, session=HALF)
    for tenant in (HALF, "half ? pair", TENANT):
        here = Writer(index, tenant)
        strange = here.document(
            f"of {tenant!r}", text=f"nothing {HALF}", scope=scope, kind=HALF, tags=(HALF,), metadata={HALF: HALF}
        )
        assert await index.upsert(SPACE, [strange, here.document("plain")]) == [None, None]
        filter = Filter(user=HALF, kinds=(HALF,), tags=(HALF,), metadata=((HALF, Among((HALF,))),), excluded=(HALF,))
        assert await here.both(filter, f"nothing {HALF}") == {f"of {tenant!r}"}
        assert await here.both(Filter()) == {f"of {tenant!r}", "plain"}
        await here.remove(f"of {tenant!r}", 2)
        assert await here.both(Filter()) == {"plain"}


async def test_real_a_tenant_with_commas_finds_its_documents_on_many_shards(node: Node) -> None:
    index = node.index(shards=5)
    for n in range(5):
        here = Writer(index, f"a{n},b{n},")
        await here.put("a")
        assert await here.both(Filter()) == {"a"}


# What is asked.


async def test_every_write_says_its_version_its_tenant_and_that_the_alias_must_be_there(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    await writer(index).put("a", version=4, passage=2)
    await writer(index).remove("a", 5, passage=2)
    at = {"_id": key(TENANT, "a", 2), "routing": owner(TENANT), "version_type": "external_gte"}
    one, two = server.bulks
    assert one.actions == [{"index": {**at, "version": 4, "require_alias": True}}]
    assert two.actions == [{"delete": {**at, "version": 5}}]
    assert (one.target, two.target) == (f"/{ALIAS}/_bulk?refresh=wait_for", f"/{ALIAS}-000001/_bulk?refresh=wait_for")


async def test_every_search_is_for_one_tenant_in_its_route_and_in_both_filters(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    await index.search(SPACE, BOTH, Filter(user="u"))
    (call,) = server.calls
    header, near, header_again, saying = call.lines
    assert header == header_again
    assert (header["index"], header["routing"]) == (ALIAS, owner(TENANT))
    tenant, user = {"term": {"tenant": f"s{TENANT}"}}, {"term": {"user": "su"}}
    inside = near["query"]["knn"]["vector"]["filter"]["bool"]["filter"]
    assert near["query"].keys() == {"knn"}
    assert near["query"]["knn"]["vector"]["k"] == near["size"] == saying["size"] == 10
    for filter in (inside, saying["query"]["bool"]["filter"]):
        assert tenant in filter
        assert user in filter


async def test_a_query_is_cut_at_so_many_words(index: OpenSearchIndex, server: OpenSearchServer) -> None:
    await index.search(SPACE, Probe(tenant=TENANT, vector=None, text=" ".join(LETTERS * 2), k=1), Filter())
    (text,) = [each["multi_match"]["query"] for each in server.calls[0].lines[1]["query"]["bool"]["must"]]
    assert text.split() == LETTERS[:MOST_WORDS]


async def test_much_goes_in_several_bulks_and_each_document_hears_of_itself(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    here = writer(index)
    bad = [3, MAX_BULK - 1, MAX_BULK, 2 * MAX_BULK]
    server.items = {id_of(f"m{n}"): deque([failed(400, "no", f"because of {n}")]) for n in bad}
    outcomes = await index.upsert(SPACE, [here.document(f"m{n}") for n in range(2 * MAX_BULK + 1)])
    assert [len(call.ids) for call in server.bulks] == [MAX_BULK, MAX_BULK, 1]
    assert {n: said(each) for n, each in enumerate(outcomes) if each} == {
        n: f"Invalid: no: because of {n}" for n in bad
    }


async def test_no_bulk_is_larger_than_a_cluster_takes(index: OpenSearchIndex, server: OpenSearchServer) -> None:
    here = writer(index)
    texts = ["茶" * 200_000, "\x00" * 80_000, "x", "y" * 600_000, "z" * 1_040_000]
    outcomes = await index.upsert(SPACE, [here.document(f"m{n}", text=text) for n, text in enumerate(texts)])
    assert outcomes == [None] * 5
    assert [call.ids for call in server.bulks] == [[id_of(f"m{n}") for n in some] for some in ([0], [1, 2], [3], [4])]
    assert all(len(call.body) <= MAX_BULK_BYTES for call in server.bulks[:3])


# What is not done.


async def test_only_what_the_cluster_was_too_busy_for_is_sent_again_after_growing_pauses(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    here = writer(index)
    server.items = {
        id_of("b"): deque([BUSY] * 3),
        id_of("c"): deque([BUSY]),
        id_of("d"): deque([failed(400, "x", "y")]),
    }
    outcomes = await index.upsert(SPACE, [here.document(memory) for memory in "abcd"])
    assert [said(outcome) for outcome in outcomes] == [None, None, None, "Invalid: x: y"]
    assert [call.ids for call in server.bulks] == [[id_of(each) for each in some] for some in ("abcd", "bc", "b", "b")]
    times = [call.at for call in server.bulks]
    for n, (before, after) in enumerate(pairwise(times)):
        assert after - before >= FIRST_PAUSE * 2**n * 0.99  # the event loop's clock is that coarse


async def test_what_the_cluster_stays_too_busy_for_is_told(server: OpenSearchServer) -> None:
    server.items = {id_of("b"): deque([BUSY] * 99)}
    async with opened(server, busy=0.35) as index:
        here = writer(index)
        outcomes = await index.upsert(SPACE, [here.document("a"), here.document("b")])
        assert said(outcomes[1]) == f"Unavailable: rejected_execution_exception: {BUSY['error']['reason']}"
        assert outcomes[0] is None
        assert len(server.bulks) == 3
        server.items = {id_of("b"): deque([BUSY] * 99)}
        (outcome,) = await index.delete(SPACE, [Removal(TENANT, "b", 0, 2)])
        assert outcome is not None


async def test_any_other_error_is_told_with_its_reason_and_without_what_it_quotes(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    kinds = {
        "a": failed(400, "mapper_parsing_exception", "failed to parse [vector] in document 'x'. Preview: 'my secret'"),
        "b": failed(400, "mapper_parsing_exception", "failed to parse", "Vector dimension mismatch. Expected: 8"),
        "c": failed(400, "illegal_argument_exception", "q" * 9_999),
        "d": failed(409, "version_conflict_engine_exception", "version conflict, current version [5] is higher"),
    }
    server.items = {id_of(memory): deque([item]) for memory, item in kinds.items()}
    here = writer(index)
    outcomes = await index.upsert(SPACE, [here.document(memory) for memory in "abcd"])
    assert [said(outcome) for outcome in outcomes] == [
        "Invalid: mapper_parsing_exception: failed to parse [vector] in document",
        "Invalid: mapper_parsing_exception: failed to parse (Vector dimension mismatch. Expected: 8)",
        f"Invalid: illegal_argument_exception: {'q' * LONGEST_REASON}",
        None,
    ]
    assert len(server.bulks) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
async def test_an_item_that_speaks_of_the_cluster_may_be_written_later(server: OpenSearchServer, status: int) -> None:
    server.items = {id_of("a"): deque([failed(status, "cluster_block_exception", "index is read-only")] * 99)}
    async with opened(server, busy=0.05) as index:
        (outcome,) = await index.upsert(SPACE, [writer(index).document("a")])
    assert said(outcome) == "Unavailable: cluster_block_exception: index is read-only"


async def test_what_was_written_before_the_cluster_fell_silent_is_told(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    server.next.extend([None, None, Fault(429)])
    here = writer(index)
    outcomes = await index.upsert(SPACE, [here.document(f"m{n}") for n in range(MAX_BULK + 2)])
    assert outcomes[:MAX_BULK] == [None] * MAX_BULK
    assert all("429" in (said(outcome) or "") for outcome in outcomes[MAX_BULK:])


def said(outcome: CommonplaceError | None) -> str | None:
    return None if outcome is None else f"{type(outcome).__name__}: {outcome.message}"


async def every_call_is_unavailable(index: OpenSearchIndex) -> list[str]:
    """What they say."""
    here = writer(index)
    said: list[str] = []
    for call in (
        index.search(SPACE, BOTH, Filter()),
        index.upsert(SPACE, [here.document("a")]),
        index.delete(SPACE, [Removal(TENANT, "a", 0, 1)]),
        index.spaces(),
        index.renew(SPACE),
        index.retire(SPACE),
    ):
        with pytest.raises(Unavailable) as failure:
            await call
        assert failure.value.__cause__ is not None
        said.append(failure.value.message)
    return said


@pytest.mark.parametrize("status", [400, 413, 429, 500])
async def test_a_cluster_that_says_no_is_unavailable_at_once(
    index: OpenSearchIndex, server: OpenSearchServer, status: int
) -> None:
    server.always = Fault(status, {"error": {"type": "some_exception", "reason": 'not now: "kettle"'}})
    assert set(await every_call_is_unavailable(index)) == {
        f"The index did not do it ({status}: some_exception: not now:)"
    }
    assert len(server.calls) == 6


@pytest.mark.parametrize("fault", [Fault(502, "<html>"), Fault(503), Fault(504, [1]), Cut()])
async def test_what_may_pass_is_tried_again_and_then_unavailable(
    index: OpenSearchIndex, server: OpenSearchServer, fault: Fault | Cut
) -> None:
    server.next.extend([fault] * RETRIES)
    await writer(index).put("a")
    assert len(server.calls) == RETRIES + 2
    server.calls.clear()
    server.always = fault
    with pytest.raises(Unavailable):
        await index.search(SPACE, BOTH, Filter())
    assert len(server.calls) == RETRIES + 1
    assert "<" not in "".join(await every_call_is_unavailable(index))


async def test_a_cluster_that_hangs_is_unavailable_when_the_patience_ends(server: OpenSearchServer) -> None:
    async with opened(server, search=0.05, write=0.1) as index:
        server.always = Hang()
        async with asyncio.timeout(5):
            await every_call_is_unavailable(index)
        assert len(server.calls) == 6  # not once more
        server.next.extend([None, Hang()])
        with pytest.raises(Unavailable):
            await index.upsert(SPACE, [writer(index).document("a")])
        assert len(server.bulks) == 1


async def test_a_cluster_that_is_not_there_is_unavailable(server: OpenSearchServer) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        async with opened(server) as index:
            assert set(await every_call_is_unavailable(index)) == {"The index does not answer"}


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_call_says_what_to_look_at_and_no_secret(
    index: OpenSearchIndex, server: OpenSearchServer, status: int
) -> None:
    arn = "arn:aws:sts::123456789012:assumed-role/worker"
    server.always = Fault(status, {"message": f"User: {arn} ... x-amz-security-token:{TOKEN}"})
    said = "".join(await every_call_is_unavailable(index))
    assert str(status) in said
    assert "access policy" in said
    assert "credentials" in said
    assert not any(secret in said for secret in (arn, TOKEN, SECRET))


async def test_an_answer_that_is_no_json_is_unavailable(index: OpenSearchIndex, server: OpenSearchServer) -> None:
    server.always = Fault(200, "<html>Sign in to the hotel</html>")
    with pytest.raises(Unavailable):
        await index.search(SPACE, BOTH, Filter())


# What the arms say.


async def search(index: OpenSearchIndex) -> Findings:
    return await index.search(SPACE, BOTH, Filter())


PARTIAL = {**finds(hit("a", 0, 1, 0.5)), "_shards": {"total": 2, "successful": 1, "failed": 1}}
LATE = {**finds(hit("a", 0, 1, 0.5)), "timed_out": True}


@pytest.mark.parametrize("failure", [ARM_FAILED, PARTIAL, LATE])
async def test_when_an_arm_fails_the_other_one_answers(
    index: OpenSearchIndex, server: OpenSearchServer, failure: dict[str, Any]
) -> None:
    server.arms = [failure, finds(hit("b", 1, 2, 3.5))]
    found = await search(index)
    assert found.vectors.failure is not None
    assert found.vectors.failure.startswith("vectors: ")
    assert "kettle" not in found.vectors.failure
    assert (found.vectors.candidates, found.vectors.milliseconds) == ((), None)
    assert found.words == Arm((Candidate("b", 1, 2, 3.5),))
    server.arms = [finds(hit("b", 1, 2, 0.75)), failure]
    found = await search(index)
    assert found.vectors == Arm((Candidate("b", 1, 2, 0.5),))
    assert found.words.failure is not None


async def test_when_both_arms_fail_the_index_is_unavailable(index: OpenSearchIndex, server: OpenSearchServer) -> None:
    server.arms = [ARM_FAILED, LATE]
    with pytest.raises(Unavailable) as failure:
        await search(index)
    assert "kettle" not in failure.value.message


async def test_each_arm_says_how_long_the_cluster_took(index: OpenSearchIndex, server: OpenSearchServer) -> None:
    server.arms = [{**finds(), "took": 3}, {**finds(), "took": 12}]
    found = await search(index)
    assert (found.vectors.milliseconds, found.words.milliseconds) == (3.0, 12.0)


async def test_of_a_memory_only_what_is_of_its_newest_version_is_found(
    index: OpenSearchIndex, server: OpenSearchServer
) -> None:
    server.arms = [
        {**finds(hit("a", 0, 1, 0.9), hit("b", 0, 1, 0.8), hit("b", 0, 1, 0.8), hit("b", 1, 1, 0.75)), "took": 3},
        finds(hit("a", 1, 2, 5.0), hit("a", 0, 1, 4.0)),
    ]
    found = await search(index)
    assert [(one.memory, one.passage, one.version) for one in found.vectors.candidates] == [("b", 0, 1), ("b", 1, 1)]
    assert [(one.memory, one.passage, one.version) for one in found.words.candidates] == [("a", 1, 2)]
    assert found.vectors.milliseconds == 3.0


# Signatures, proxies, logs.


async def test_every_call_is_signed(server: OpenSearchServer) -> None:
    server.indexes = []
    async with opened(server) as index:
        await writer(index).put("a")
        await search(index)
        await index.spaces()
        await index.delete(SPACE, [Removal(TENANT, "a", 0, 1)])
        server.indexes = [f"{ALIAS}-000001", f"{ALIAS}-000002"]
        await index.retire(SPACE)
    assert {call.method for call in server.calls} == {"GET", "PUT", "POST"}
    for call in server.calls:
        authorization = call.headers["Authorization"]
        assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
        assert "/eu-central-1/es/aws4_request" in authorization
        assert "x-amz-content-sha256;x-amz-date;x-amz-security-token" in authorization
        assert call.headers["x-amz-security-token"] == TOKEN
        assert call.signed_with(SECRET)
        assert not call.signed_with("another")


async def test_credentials_that_have_changed_sign_the_next_call(server: OpenSearchServer) -> None:
    credentials = Credentials()
    async with opened(server, credentials) as index:
        await search(index)
        credentials.access_key, credentials.secret_key, credentials.token = "AKIDSECOND", "second", None
        await search(index)
    assert "Credential=AKIDSECOND/" in server.calls[1].headers["Authorization"]
    assert server.calls[1].signed_with("second")
    assert "x-amz-security-token" not in server.calls[1].headers


async def test_credentials_that_cannot_be_renewed_make_the_index_unavailable(server: OpenSearchServer) -> None:
    error = CredentialRetrievalError(provider="sts", error_msg="no")
    async with opened(server, Credentials(error=error)) as index:
        await every_call_is_unavailable(index)
    assert server.calls == []


async def test_without_credentials_there_is_no_client(server: OpenSearchServer) -> None:
    async def none() -> None:
        return None

    session = SimpleNamespace(_session=SimpleNamespace(get_credentials=none), region_name="eu-central-1")
    with pytest.raises(Unavailable):
        async with connected(server.url, session):
            """It is not opened."""


async def test_a_proxy_of_the_environment_is_not_asked(
    server: OpenSearchServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with serving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        async with opened(server) as index:
            await search(index)
        assert (len(server.calls), proxy.calls) == (1, [])


PRIVATE = "She was born in Perú"


async def test_logs_and_errors_tell_neither_memories_nor_secrets(
    index: OpenSearchIndex, server: OpenSearchServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server.next.extend([None, Fault(503), Fault(400, {"error": {"type": "x", "reason": f"quotes '{PRIVATE}'"}})])
    with pytest.raises(Unavailable) as failure:
        await writer(index).put("a", text=PRIVATE)
    logging.getLogger("commonplace.test").error("It failed", exc_info=failure.value)
    assert "It failed" in caplog.text
    assert not any(word in caplog.text for word in (PRIVATE, SECRET, TOKEN, "Authorization"))
    assert {record.name for record in caplog.records} == {"commonplace.test"}
