"""Lists by organisation and by namespace, and the vectors that come with a memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commonplace.model.errors import Conflict
from commonplace.model.filter import Filter
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import Scope
from commonplace.model.space import Embedding, Space, direction
from commonplace.ports.table import MAX_TRANSACTION, Item, Key, Put, Query, Scanned, Slice, Table, Write
from commonplace.rows import keys
from commonplace.rows.codec import packed
from commonplace.rows.lengths import Lengths, VectorLengths
from commonplace.rows.memories import Memories
from commonplace.rows.memory_items import LISTS, list_key
from commonplace.rows.memory_writes import MAX_COMMIT_BYTES, Entry, Settlement, grouped
from fakes import START
from steps import draft, ids, written
from world import OTHER_TENANT, TENANT, World

pytestmark = pytest.mark.anyio

SPACE = Space("m", 384)


def memory(number: int = 0, organization: str | None = "org", project: str | None = None, **fields: Any) -> Memory:
    at = START + timedelta(seconds=number)
    plain = Memory(
        id=f"m{number:06d}",
        tenant=TENANT,
        scope=Scope(organization=organization, project=project),
        origin="edge",
        content=f"content {number}",
        content_hash=f"hash {number}",
        kind="fact",
        importance=0.5,
        tier=Tier.WARM,
        created_at=at,
        updated_at=at,
        occurred_at=at,
        marked_at=at,
    )
    return replace(plain, **fields)


def of(organization: str, project: str | None = None, **parts: Any) -> Filter:
    """What a list of an organisation asks for."""
    return Filter(
        store="default", organization=organization, project=project, confidential=True, archived=True, **parts
    )


class CountedTable(Table):
    """Counts the calls, and the keys and items that they are about."""

    def __init__(self, inner: Table) -> None:
        self.inner = inner
        self.calls: list[tuple[str, int]] = []

    async def get(self, key: Key) -> Item | None:
        self.calls.append(("get", 1))
        return await self.inner.get(key)

    async def batch_get(self, keys: Sequence[Key]) -> dict[Key, Item]:
        self.calls.append(("batch_get", len(keys)))
        return await self.inner.batch_get(keys)

    async def transact(self, writes: Sequence[Write]) -> None:
        self.calls.append(("transact", len(writes)))
        await self.inner.transact(writes)

    async def query(self, query: Query) -> Slice:
        found = await self.inner.query(query)
        self.calls.append(("query", len(found.keys)))
        return found

    async def scan(self, after: str | None, limit: int) -> Scanned:
        raise AssertionError(f"nobody may scan ({limit} rows after {after})")


@pytest.fixture
def table(world: World) -> CountedTable:
    return CountedTable(world.table)


@pytest.fixture
def memories(table: CountedTable) -> Memories:
    return Memories(table)


async def added(memories: Memories, *new: Memory) -> None:
    assert await memories.add([Entry(each) for each in new]) == [None] * len(new)


async def listed(memories: Memories, filter: Filter, *, tenant: str = TENANT, limit: int = 100) -> list[str]:
    return ids((await memories.page(tenant, filter, limit=limit)).items)


# Lists


async def test_a_list_is_newest_first_and_within_a_moment_the_later_id_first(memories: Memories) -> None:
    at = START + timedelta(seconds=5)
    same = [memory(number, created_at=at) for number in (10, 12, 11)]
    await added(memories, memory(3), memory(9), *same, memory(1))
    expected = ["m000009", "m000012", "m000011", "m000010", "m000003", "m000001"]
    assert await listed(memories, of("org")) == expected
    assert await listed(memories, of("org"), limit=2) == expected[:2]


async def test_a_list_goes_on_where_the_last_page_ended(memories: Memories) -> None:
    await added(memories, *(memory(number, project="p") for number in range(7)))
    for filter in (of("org"), of("org", "p")):
        found, place = [], None
        while True:
            page = await memories.page(TENANT, filter, limit=3, start=place)
            found += ids(page.items)
            if page.next is None:
                break
            place = page.next
        assert found == [f"m{number:06d}" for number in range(6, -1, -1)]


async def test_organizations_namespaces_stores_and_tenants_have_lists_of_their_own(memories: Memories) -> None:
    await memories._table.transact([Put(keys.kept_store(TENANT, "s"), {})])  # noqa: SLF001 - the test's own table
    here = memory(1, "a", "p")
    await added(
        memories,
        here,
        memory(2, "a", "q"),
        memory(3, "b", "p"),
        memory(4, "a"),
        memory(5, None, "p"),
        replace(here, id="m000006", tenant=OTHER_TENANT),
        replace(here, id="m000007", scope=replace(here.scope, store="s")),
    )
    assert await listed(memories, of("a")) == ["m000004", "m000002", "m000001"]
    assert await listed(memories, of("a", "p")) == ["m000001"]
    assert await listed(memories, of("b")) == await listed(memories, of("b", "p")) == ["m000003"]
    assert await listed(memories, of("b", "q")) == await listed(memories, of("c")) == []
    assert await listed(memories, of("a"), tenant=OTHER_TENANT) == ["m000006"]
    assert await listed(memories, replace(of("a"), store="s")) == ["m000007"]
    assert await listed(memories, Filter(store="default", project="p")) == ["m000005", "m000003", "m000001"]


HOSTILE = [
    "a", "b", "", " ", "a ", "A", "#", ":", "%", "a#b", "a%23b", "%-", "%=", "a#project#b", "a#organization#b", "\x00",
    "a\x00", "a\x00b", "ü", "u\u0308", "🫖", "\u202e", "o" * 256, "o" * 255, "L" * 600, "L" * 601, TENANT, "default",
]  # fmt: skip


async def test_no_name_of_an_organization_reaches_another_ones_list(memories: Memories) -> None:
    await added(memories, *(memory(number, name) for number, name in enumerate(HOSTILE)))
    for number, name in enumerate(HOSTILE):
        assert await listed(memories, of(name)) == [f"m{number:06d}"]


async def test_no_name_of_a_namespace_reaches_another_ones_list(memories: Memories) -> None:
    pairs = [(organization, name) for organization in HOSTILE[:16] for name in HOSTILE[:16]]
    await added(memories, *(memory(number, *pair) for number, pair in enumerate(pairs)))
    for number, pair in enumerate(pairs):
        assert await listed(memories, of(*pair)) == [f"m{number:06d}"]
    for number, organization in enumerate(HOSTILE[:16]):
        expected = [f"m{16 * number + n:06d}" for n in range(15, -1, -1)]
        assert await listed(memories, of(organization)) == expected


async def test_more_than_the_name_is_asked_of_the_rows(memories: Memories) -> None:
    tagged = [memory(number, project="p", tags=("even",) if number % 2 == 0 else ()) for number in range(6)]
    await added(memories, *tagged, replace(memory(9), confidential=True))
    assert await listed(memories, of("org", tags=("even",))) == ["m000004", "m000002", "m000000"]
    assert "m000009" not in await listed(memories, replace(of("org"), confidential=False))
    narrower = replace(of("org", "p"), user="nobody")
    assert await listed(memories, narrower) == []


@pytest.mark.parametrize(
    ("others", "project"),
    [
        ("of other organizations", None),
        ("of other organizations", "p"),
        ("of other tenants", None),
        ("of other tenants", "p"),
        ("of other namespaces", "p"),
    ],
)
async def test_a_page_costs_the_same_however_many_others_there_are(
    memories: Memories, table: CountedTable, others: str, project: str | None
) -> None:
    await added(memories, *(memory(number, project=project) for number in range(30)))
    costs = []
    for first, last in ((1_000, 1_010), (1_010, 2_000)):
        more = [memory(number, f"o{number % 7}", project) for number in range(first, last)]
        if others == "of other tenants":
            more = [
                replace(each, tenant=OTHER_TENANT, scope=Scope(organization="org", project=project)) for each in more
            ]
        elif others == "of other namespaces":
            more = [replace(each, scope=Scope(organization="org", project=f"q{each.id}")) for each in more]
        await added(memories, *more)
        table.calls.clear()
        assert len(await listed(memories, of("org", project), limit=25)) == 25
        costs.append(list(table.calls))
    assert costs[0] == costs[1] == [("query", 25), ("batch_get", 25)]


def test_a_list_is_only_for_what_has_all_its_parts() -> None:
    scope = {"store": "default", "organization": "o", "project": None}
    found = {index: list_key(TENANT, scope, index) for index in LISTS}
    assert {index for index, partition in found.items() if partition is not None} == {"by_organization", "listing"}
    assert len(set(found.values()) - {None}) == 2


# Whose a memory is


async def test_what_other_apis_write_is_the_tenants_own_in_the_shared_store_and_nobodys_in_others(world: World) -> None:
    await world.table.transact([Put(keys.kept_store(TENANT, "s"), {})])
    here = await written(world)
    there = await written(world, scope=Scope(store="s"))
    named = await written(world, scope=Scope(organization="org"))
    stored = await written(world, scope=Scope(store="s", organization="org"))
    organizations = [each.scope.organization for each in (here, there, named, stored)]
    assert organizations == [TENANT, None, "org", "org"]
    rows = world.services.memories
    assert await listed(rows, of(TENANT)) == [here.id]
    assert await listed(rows, of("org")) == [named.id]
    assert await rows.get(TENANT, there.id) == there


# Vectors


def entry(number: int, length: int, **fields: Any) -> Entry:
    return Entry(memory(number, brought=length, **fields), vector=direction([1.0 + n for n in range(length)]))


async def vectors_in_table(table: Table, one: Memory, length: int) -> Item | None:
    return await table.get(keys.vectors(one.tenant, one.id, Space.given(length).name, 0))


@pytest.mark.parametrize("length", [1, 2, 3, 1536, 4096])
async def test_a_vector_is_written_with_its_memory_and_comes_back_in_single_precision(
    memories: Memories, table: CountedTable, length: int
) -> None:
    one = entry(1, length)
    assert await memories.add([one]) == [None]
    assert [call for call, _ in table.calls] == ["transact"]
    back = await memories.get(TENANT, one.memory.id)
    assert back == one.memory
    assert back is not None
    found = await memories.given(back)
    assert isinstance(found, Embedding)
    assert found.space == Space.given(length)
    assert one.vector is not None
    assert packed(found.vectors) == packed((one.vector,))
    assert found.vectors[0] == pytest.approx(one.vector, abs=1e-7)


async def test_a_vector_of_a_memory_that_is_not_written_is_not_written(memories: Memories, table: CountedTable) -> None:
    await added(memories, memory(1))
    (error,) = await memories.add([entry(1, 3)])
    assert isinstance(error, Conflict)
    assert await vectors_in_table(table, memory(1), 3) is None


async def test_vectors_count_toward_what_a_transaction_holds(memories: Memories) -> None:
    entries = [entry(number, 3) for number in range(120)]
    groups = grouped(entries)
    assert max(2 * len(group) for group in groups) < MAX_TRANSACTION
    assert [each for group in groups for each in group] == entries
    assert await memories.add(entries) == [None] * 120
    large = [entry(number, 4096, content="x" * 50_000) for number in range(40)]
    assert [len(group) for group in grouped(large)] == [13, 13, 13, 1]
    assert 13 * 4 * (50_000 + 4096) < MAX_COMMIT_BYTES < 14 * 4 * (50_000 + 4096)


async def test_a_new_content_drops_the_vector_and_other_changes_do_not(memories: Memories, table: CountedTable) -> None:
    one = entry(1, 3)
    await memories.add([one])
    facts = replace(one.memory, tags=("t",), revision=2)
    await memories.replace(one.memory, facts)
    assert await memories.given(facts) is not None
    content = replace(facts, content="new", revision=3, content_revision=3)
    await memories.replace(facts, content)
    assert (content.given, content.brought) == (None, 3)
    assert await memories.given(content) is None
    assert await vectors_in_table(table, content, 3) is None
    again = replace(content, content="newer", revision=4, content_revision=4)
    await memories.replace(content, again)
    assert await memories.get(TENANT, again.id) == again


async def test_a_stale_change_leaves_the_vector(memories: Memories) -> None:
    one = entry(1, 3)
    await memories.add([one])
    facts = replace(one.memory, revision=2)
    await memories.replace(one.memory, facts)
    with pytest.raises(Conflict):
        await memories.replace(one.memory, replace(one.memory, content="new", revision=2, content_revision=2))
    assert await memories.given(facts) is not None


async def test_settling_leaves_the_vector_whatever_becomes_of_the_others(memories: Memories) -> None:
    one = entry(1, 384)
    await memories.add([one])
    once = replace(one.memory, model=SPACE.name, passages=1, marked_at=None)
    await memories.settle(Settlement(once, Embedding(SPACE, ((0.5,) * 384,)), one.memory))
    other = Space("other", 384)
    await memories.settle(Settlement(replace(once, model=other.name), Embedding(other, ((0.5,) * 384,)), once))
    assert await memories.embedding(once, SPACE) is None
    assert await memories.given(once) is not None


@pytest.mark.parametrize("rewritten", [False, True])
async def test_a_tombstone_names_the_space_of_the_vector_and_the_table_loses_it(
    memories: Memories, table: CountedTable, rewritten: bool
) -> None:
    one = entry(1, 3)
    await memories.add([one])
    last = one.memory
    if rewritten:
        last = replace(last, content="new", revision=2, content_revision=2)
        await memories.replace(one.memory, last)
    tombstone = await memories.bury(last, START, SPACE)
    assert tombstone.spaces == (SPACE.name, "given-3")
    assert await memories.last_seen(TENANT, last.id) == tombstone
    assert await vectors_in_table(table, last, 3) is None


async def test_a_vector_that_is_missing_is_none(memories: Memories) -> None:
    await added(memories, memory(1, brought=3))
    assert await memories.given(memory(1, brought=3)) is None


# Lengths


async def test_lengths_come_back_in_the_order_in_which_they_came(table: CountedTable) -> None:
    lengths = VectorLengths(table)
    assert await lengths.get(TENANT, "a") == (Lengths(), Lengths())
    for length in (1536, 3, 768):
        await lengths.add(TENANT, "a", length, await lengths.get(TENANT, "a"))
    await lengths.add(TENANT, "b", 3, await lengths.get(TENANT, "b"))
    assert await lengths.get(TENANT, "a") == (Lengths((1536, 3, 768), 3), Lengths((1536, 3, 768), 3))
    assert await lengths.get(TENANT, "b") == (Lengths((3,), 1), Lengths((1536, 3, 768), 3))
    table.calls.clear()
    await lengths.get(TENANT, "a")
    assert table.calls == [("batch_get", 2)]


async def test_what_was_seen_before_another_wrote_is_a_conflict(table: CountedTable) -> None:
    lengths = VectorLengths(table)
    nothing = await lengths.get(TENANT, "a")
    await lengths.add(TENANT, "a", 1, nothing)
    with pytest.raises(Conflict):
        await lengths.add(TENANT, "a", 2, nothing)
    with pytest.raises(Conflict):
        await lengths.add(TENANT, "b", 2, (Lengths(), Lengths()))
    assert await lengths.get(TENANT, "b") == (Lengths(), Lengths((1,), 1))


async def test_a_draft_without_a_vector_writes_none(world: World) -> None:
    accepted = (await world.services.remember.later(TENANT, draft())).memory
    assert accepted.brought is None
    assert await world.services.memories.given(accepted) is None
