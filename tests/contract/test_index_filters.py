"""What every index makes of a filter: in both arms the same as ``Filter.matches``, and before the cut."""

import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commonplace.model.document import Document
from commonplace.model.filter import Among, Between, Condition, Exists, Filter, NotAmong, Period, Scalar
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import EVERYONE, Scope, audience_of, tagged
from commonplace.model.values import Json
from contract.index_writer import EAST, INDEXES, NOON, SPACE, Writer, ids, opened, unit, written

pytestmark = pytest.mark.anyio


@pytest.fixture(params=INDEXES)
async def writer(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Writer]:
    async with opened(request.param, tmp_path, request) as index:
        yield written(index)


def only(part: str, value: Any) -> Filter:
    """A filter that asks for one thing."""
    parts: dict[str, Any] = {part: value}
    return Filter(**parts)


@pytest.mark.parametrize(
    "mine",
    [
        Filter(user="me"),
        Filter(session="s"),
        Filter(tags=("mine",)),
        Filter(kinds=("k",)),
        Filter(level="session"),
        Filter(label="s"),
        Filter(level="session", label="s", tags=("mine",)),
        Filter(audience=("user:me", "everyone ")),
        Filter(conversation="s", user="me"),
        Filter(elsewhere="t", user="me"),
    ],
)
async def test_the_filter_is_applied_before_the_cut(writer: Writer, mine: Filter) -> None:
    others = [writer.document(f"o{n}", text="kettle kettle", vector=EAST) for n in range(200)]
    await writer.index.upsert(SPACE, others)
    said = {"level": "session", "label": "s", "tags": ("mine",), "kind": "k"}
    parts: dict[str, Any] = {"scope": Scope(user="me", session="s"), **said}
    text = "a kettle among very many other things that stand about"
    await writer.put("mine", text=text, vector=unit(1.5), **parts)
    assert ids(await writer.near(filter=mine, k=5)) == ["mine"]
    assert ids(await writer.saying("kettle", mine, k=5)) == ["mine"]


@pytest.mark.parametrize("part", ["store", "organization", "user", "agent", "session", "project"])
@pytest.mark.parametrize("value", ["one", "", "O'Neil\"; --", "a.b:c/d", "ÜÑÍ 🫖", "Ünï", "null", "0"])
async def test_each_scope_part_is_compared_to_the_letter(writer: Writer, part: str, value: str) -> None:
    scopes = {"same": value, "longer": f"{value}x", "spaced": f" {value}"}
    if value.upper() != value:
        scopes["loud"] = value.upper()
    for memory, text in scopes.items():
        await writer.put(memory, scope=Scope(**{part: text}))
    await writer.put("absent")
    assert await writer.both(only(part, value)) == {"same"}


VALUES = ["one", "", "O'Neil\"; --", "a.b:c/d", "ÜÑÍ 🫖", "Ünï", "null", "0", "s1", "L" * 64, "L" * 65, "L" * 4096]
"""Odd words. The last three are around the length from which an index compares hashes."""


@pytest.mark.parametrize("part", ["level", "label"])
@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:9] + f"({len(value)})")
async def test_level_and_label_are_compared_to_the_letter(writer: Writer, part: str, value: str) -> None:
    words = {"same": value, "longer": f"{value}x", "spaced": f" {value}"}
    if value.upper() != value:
        words["loud"] = value.upper()
    for memory, text in words.items():
        await writer.put(memory, **{part: text})
    await writer.put("absent")
    assert await writer.both(only(part, value)) == {"same"}


async def test_a_level_a_label_a_tag_and_metadata_of_one_word_are_not_taken_for_each_other(writer: Writer) -> None:
    await writer.put("level", level="user")
    await writer.put("label", label="user")
    await writer.put("tag", tags=("user",))
    await writer.put("metadata", metadata={"level": "user", "label": "user", "l": "user", "b": "user", "t": "user"})
    await writer.put("scope", scope=Scope(user="user", agent="user", session="user"))
    await writer.put("kind", kind="user")
    assert await writer.both(Filter(level="user")) == {"level"}
    assert await writer.both(Filter(label="user")) == {"label"}
    assert await writer.both(Filter(tags=("user",))) == {"tag"}
    assert await writer.both(Filter(user="user")) == {"scope"}
    assert await writer.both(Filter(level="user", label="user")) == set()


async def test_who_says_no_level_means_everyone_and_has_no_label(writer: Writer) -> None:
    await writer.put("plain")
    await writer.put("named", label="everyone")
    await writer.put("empty", label="")
    await writer.put("user", level="user", label="everyone", scope=Scope(user="everyone"))
    assert await writer.both(Filter(level="global")) == {"plain", "named", "empty"}
    assert await writer.both(Filter(label="everyone")) == {"named", "user"}
    assert await writer.both(Filter(label="")) == {"empty"}
    assert await writer.both(Filter(level="global", label="everyone")) == {"named"}
    assert await writer.both(Filter(level="user", user="everyone", label="everyone")) == {"user"}
    assert await writer.both(Filter()) == {"plain", "named", "empty", "user"}


async def test_a_new_version_takes_the_old_level_and_label_with_it(writer: Writer) -> None:
    await writer.put("a", level="user", label="u1")
    await writer.put("a", version=2, level="session", label="s1")
    for gone in (Filter(level="user"), Filter(label="u1")):
        assert await writer.both(gone) == set()
    for there in (Filter(level="session"), Filter(label="s1")):
        assert await writer.both(there) == {"a"}
    await writer.put("a", version=3)
    assert await writer.both(Filter(label="s1")) == set()
    assert await writer.both(Filter(level="global")) == {"a"}


WHOM = {
    "user": Scope(user="u"),
    "user-in-groups": Scope(user="u", role="r", team="t"),
    "role": Scope(role="r"),
    "role-and-team": Scope(role="r", team="t"),
    "team": Scope(team="t", session="s"),
    "nobody": Scope(),
    "nobody-in-a-session": Scope(session="s", agent="u", project="r", organization="t"),
    "empty": Scope(user=""),
    "empty-role": Scope(role=""),
    "odd": Scope(user="everyone"),
    "odder": Scope(role="role:r"),
}
"""Memories by whom they are about."""

AUDIENCES: list[tuple[tuple[str, ...], set[str]]] = [
    ((audience_of("user", "u"),), {"user", "user-in-groups"}),
    ((audience_of("user", ""),), {"empty"}),
    ((audience_of("user", "U"),), set()),
    ((audience_of("role", "r"),), {"role", "role-and-team"}),
    ((audience_of("role", ""),), {"empty-role"}),
    ((audience_of("team", "t"),), {"role-and-team", "team"}),
    ((tagged("role", "r"),), {"user-in-groups", "role", "role-and-team"}),
    ((tagged("team", "t"),), {"user-in-groups", "role-and-team", "team"}),
    ((tagged("team", "r"),), set()),
    ((EVERYONE,), {"nobody", "nobody-in-a-session"}),
    ((audience_of("user", "everyone"),), {"odd"}),
    ((audience_of("role", "role:r"),), {"odder"}),
    (
        (audience_of("user", "u"), audience_of("team", "t"), EVERYONE),
        {"user", "user-in-groups", "role-and-team", "team", "nobody", "nobody-in-a-session"},
    ),
    (
        (tagged("role", "r"), tagged("role", "none"), EVERYONE),
        {"user-in-groups", "role", "role-and-team", "nobody", "nobody-in-a-session"},
    ),
]


@pytest.mark.parametrize(("audience", "expected"), AUDIENCES, ids=lambda each: ",".join(sorted(each)) or "none")
async def test_any_of_the_audiences_is_enough(writer: Writer, audience: tuple[str, ...], expected: set[str]) -> None:
    await writer.index.upsert(SPACE, [writer.document(memory, scope=scope) for memory, scope in WHOM.items()])
    assert await writer.both(Filter(audience=audience), k=20) == expected
    assert await writer.both(Filter(audience=audience, excluded=tuple(expected)), k=20) == set()


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:9] + f"({len(value)})")
async def test_audiences_are_compared_to_the_letter(writer: Writer, value: str) -> None:
    names = {"same": value, "longer": f"{value}x", "spaced": f" {value}"}
    if value.upper() != value:
        names["loud"] = value.upper()
    for memory, name in names.items():
        await writer.put(memory, scope=Scope(user=name, role=name))
    await writer.put("role", scope=Scope(role=value))
    await writer.put("tag", tags=(audience_of("user", value),), metadata={"a": audience_of("user", value)})
    await writer.put("label", label=audience_of("user", value), level=audience_of("user", value))
    assert await writer.both(Filter(audience=(audience_of("user", value),))) == {"same"}
    assert await writer.both(Filter(audience=(audience_of("role", value),))) == {"role"}
    assert await writer.both(Filter(audience=(tagged("role", value),))) == {"same", "role"}


async def test_a_new_version_takes_the_old_audiences_with_it(writer: Writer) -> None:
    await writer.put("a", scope=Scope(user="u", team="t"))
    await writer.put("a", version=2, scope=Scope(team="t2"))
    for gone in (audience_of("user", "u"), tagged("team", "t")):
        assert await writer.both(Filter(audience=(gone,))) == set()
    assert await writer.both(Filter(audience=(audience_of("team", "t2"),))) == {"a"}


@pytest.mark.parametrize("value", ["one", "", "O'Neil\"; --", "ÜÑÍ 🫖", "null", "0", "L" * 65])
async def test_a_conversation_is_its_session_and_what_has_none(writer: Writer, value: str) -> None:
    sessions = {"same": value, "longer": f"{value}x", "spaced": f" {value}", "absent": None}
    if value.upper() != value:
        sessions["loud"] = value.upper()
    for memory, session in sessions.items():
        await writer.put(memory, scope=Scope(session=session))
    await writer.put("user", scope=Scope(user=value))
    assert await writer.both(Filter(conversation=value)) == {"same", "absent", "user"}
    assert await writer.both(Filter(elsewhere=value)) == {*sessions, "user"} - {"same"}
    assert await writer.both(Filter(conversation=value, user=value)) == {"user"}
    assert await writer.both(Filter(elsewhere=value, session=value)) == set()
    assert await writer.both(Filter(conversation=value, elsewhere=value)) == {"absent", "user"}
    assert await writer.both(Filter(conversation="none such")) == {"absent", "user"}


async def test_all_parts_of_a_filter_must_hold(writer: Writer) -> None:
    await writer.put("a", scope=Scope(user="u", agent="x"), tags=("t",))
    await writer.put("b", scope=Scope(user="u", agent="y"), tags=("t",))
    await writer.put("c", scope=Scope(user="u", agent="x"))
    assert await writer.both(Filter(user="u", agent="x", tags=("t", "other"))) == {"a"}


async def test_kinds_and_tiers(writer: Writer) -> None:
    await writer.put("a", kind="fact", tier=Tier.HOT)
    await writer.put("b", kind="event", tier=Tier.WARM)
    await writer.put("c", kind="rule", tier=Tier.COLD)
    assert await writer.both(Filter(kinds=("fact", "rule"))) == {"a", "c"}
    assert await writer.both(Filter(tiers=(Tier.HOT, Tier.WARM))) == {"a", "b"}


async def test_any_of_the_tags_is_enough(writer: Writer) -> None:
    await writer.put("a", tags=("red", "big"))
    await writer.put("b", tags=("blue",))
    await writer.put("c", tags=("Red", 'bl"ue', "blue,red"))
    await writer.put("d", metadata={"red": "red", "tags": "red"})
    assert await writer.both(Filter(tags=("red",))) == {"a"}
    assert await writer.both(Filter(tags=("red", "blue", "none"))) == {"a", "b"}
    assert await writer.both(Filter(tags=('bl"ue',))) == {"c"}


async def test_importance_in_a_closed_range(writer: Writer) -> None:
    for importance in (0.0, 0.3, 0.8, 1.0):
        await writer.put(f"{importance}", importance=importance)
    assert await writer.both(Filter(importance=Between(0.3, 0.8))) == {"0.3", "0.8"}
    assert await writer.both(Filter(importance=Between(low=0.8))) == {"0.8", "1.0"}
    assert await writer.both(Filter(importance=Between(high=0.29))) == {"0.0"}


@pytest.mark.parametrize("name", ["created", "occurred"])
async def test_times_from_the_start_and_before_the_end(writer: Writer, name: str) -> None:
    hour = timedelta(hours=1)
    for n in range(4):
        await writer.put(f"{n}", **{f"{name}_at": NOON + n * hour})
    assert await writer.both(only(name, Period(NOON + hour, NOON + 3 * hour))) == {"1", "2"}
    assert await writer.both(only(name, Period(start=NOON + 2 * hour))) == {"2", "3"}
    assert await writer.both(only(name, Period(end=NOON + timedelta(milliseconds=1)))) == {"0"}


async def test_confidential_and_archived_only_when_asked_for(writer: Writer) -> None:
    await writer.put("open")
    await writer.put("confidential", confidential=True)
    await writer.put("archived", archived=True)
    assert await writer.both(Filter()) == {"open"}
    assert await writer.both(Filter(confidential=True)) == {"open", "confidential"}
    assert await writer.both(Filter(archived=True)) == {"open", "archived"}


async def test_excluded_memories_are_not_found(writer: Writer) -> None:
    for n in range(3):
        await writer.put(f"m{n}", passage=n)
    assert await writer.both(Filter(excluded=("m0", "m2", "other"))) == {"m1"}


KEYS = ["plain", "a.b", "q\"uo'te", "ключ", "🫖", "$.x", "", "with space", "x[0]", "K" * 100]
STRINGS = ["", "1", "1.0", "true", "null", "x", "X", "é", "it's", 'a"b', "🫖", "v" * 100]
SCALARS: list[Scalar] = [None, True, False, 0, 1, -1, 2, 1.0, 0.0, 1.5, -0.5, 1e20, 2**40, *STRINGS]
EACH: list[Json] = [*SCALARS, [1], ["x"], {}, {"a": 1}]
values = st.sampled_from(EACH)
scalars = st.lists(st.sampled_from(SCALARS), max_size=3).map(tuple)
bounds = st.none() | st.sampled_from([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 1e15])
conditions: st.SearchStrategy[Condition] = st.one_of(
    st.builds(Among, scalars),
    st.builds(NotAmong, scalars),
    st.builds(Between, bounds, bounds),
    st.builds(Exists, st.booleans()),
)
metadatas = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
questions = st.lists(st.tuples(st.sampled_from(KEYS), conditions), min_size=1, max_size=2).map(tuple)


def memory_of(document: Document) -> Memory:
    return Memory(
        id=document.memory, tenant=document.tenant, scope=document.scope, origin="relay", content=document.text,
        content_hash="", kind=document.kind, importance=document.importance, tier=document.tier,
        created_at=document.created_at, updated_at=document.created_at, occurred_at=document.occurred_at,
        tags=document.tags, metadata=document.metadata, confidential=document.confidential, level=document.level,
        label=document.label,
    )  # fmt: skip


def drawn(strategy: st.SearchStrategy[Any], number: int) -> list[Any]:
    """The same examples of a strategy on every run."""
    examples: list[Any] = []

    @settings(
        max_examples=number, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(strategy)
    def draw(example: object) -> None:
        examples.append(example)

    draw()
    return examples


async def test_metadata_conditions_give_the_answer_of_the_filter_in_both_arms(writer: Writer) -> None:
    documents = [writer.document(f"m{n}", metadata=metadata) for n, metadata in enumerate(drawn(metadatas, 120))]
    documents += [
        writer.document(f"{number}.{n}", metadata={key: value})
        for number, key in enumerate(KEYS[:2])
        for n, value in enumerate(EACH)
    ]
    await writer.index.upsert(SPACE, documents)
    each = [((key, Among((scalar,))),) for key in KEYS[:2] for scalar in SCALARS]
    for asked in [*each, *drawn(questions, 150)]:
        filter = Filter(metadata=asked)
        expected = {document.memory for document in documents if filter.matches(memory_of(document))}
        assert await writer.both(filter, k=1000) == expected, asked


async def test_filters_of_all_parts_give_the_answer_of_the_filter_in_both_arms(writer: Writer) -> None:
    dice = random.Random(7)

    def some(*choices: Any) -> Any:
        return dice.choice(choices)

    documents = [
        writer.document(
            f"m{n}", scope=Scope(
                user=some(None, "u", "v"), agent=some(None, "x", "y"), session=some(None, "s", "s2"),
                role=some(None, None, "r", "r2"), team=some(None, None, "t"),
            ),
            kind=some("fact", "event"), tier=some(*Tier), tags=some((), ("a",), ("a", "b")), importance=dice.random(),
            confidential=some(False, False, True), created_at=NOON + timedelta(hours=n), metadata={"n": n % 5},
            level=some("user", "global", "global"), label=some(None, "u", "x", ""),
        )
        for n in range(150)
    ]  # fmt: skip
    await writer.index.upsert(SPACE, documents)
    for _ in range(160):
        filter = Filter(
            user=some(None, "u"), agent=some(None, "x", "none"), session=some(None, "s"), kinds=some((), ("fact",)),
            tiers=some((), (Tier.HOT, Tier.COLD)), tags=some((), ("b",), ("a", "c")), confidential=some(False, True),
            importance=some(Between(), Between(low=0.3), Between(0.2, 0.9)), excluded=some((), ("m1", "m2")),
            created=some(Period(), Period(NOON, NOON + timedelta(hours=80))),
            metadata=some((), (("n", Among((1, 2.0))),), (("n", NotAmong((3,))), ("n", Between(high=3)))),
            level=some(None, None, None, "global", "user", "none"), label=some(None, None, None, "u", "", "none"),
            audience=some((), (), (EVERYONE,), (audience_of("user", "u"), tagged("role", "r")), (tagged("team", "t"),)),
            conversation=some(None, None, "s", "none"), elsewhere=some(None, None, "s2"),
        )  # fmt: skip
        expected = {document.memory for document in documents if filter.matches(memory_of(document))}
        assert await writer.both(filter, k=1000) == expected, filter
