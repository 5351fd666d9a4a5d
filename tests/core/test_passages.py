import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.core.passages import OVERLAP, passages, who
from commonplace.model.memory import Memory, Tier
from commonplace.model.scope import Scope
from fakes import START, FakeEmbedder
from steps import sentences

EMBEDDER = FakeEmbedder()
WINDOW = EMBEDDER.window


def memory(content: str, user: str | None = None) -> Memory:
    return Memory(
        id="m",
        tenant="acme",
        scope=Scope(user=user),
        origin="relay",
        content=content,
        content_hash="",
        kind="fact",
        importance=0.5,
        tier=Tier.WARM,
        created_at=START,
        updated_at=START,
        occurred_at=START,
    )


def cut(content: str, user: str | None = None) -> list[str]:
    return passages(memory(content, user), EMBEDDER.tokens, WINDOW)


@pytest.mark.parametrize("content", ["Short.", "", "   ", "🙂", "a " * (WINDOW - 1) + "a"])
def test_what_fits_into_the_window_is_one_passage_to_the_letter(content: str) -> None:
    assert cut(content) == [content]


@pytest.mark.parametrize("user", ["Ada", "Ada Lovelace", "Grace-Marie O'Neil", "Äsa", "李雷"])
def test_a_passage_says_whose_words_it_holds(user: str) -> None:
    assert who(memory("x", user)) == user
    assert cut("Rain again.", user) == [f"{user}: Rain again."]
    assert all(passage.startswith(f"{user}: ") for passage in cut(sentences(20), user))


@pytest.mark.parametrize(
    "user", [None, "", "user_1", "ada@example.com", "42", "a" * 41, "org/ada", "C:ada", "_x", "a1"]
)
def test_an_id_is_no_name(user: str | None) -> None:
    assert who(memory("x", user)) is None
    assert cut("Rain again.", user) == ["Rain again."]


def test_a_long_text_is_cut_at_the_ends_of_sentences() -> None:
    pieces = cut(sentences(20))
    assert len(pieces) > 3
    assert all(piece.rstrip().endswith(".") for piece in pieces)


@pytest.mark.parametrize("end", [".", "!", "?", "…", '."', "\n", "。", "？"])
def test_every_end_of_a_sentence_is_one(end: str) -> None:
    text = f"{end} ".join(["one two three four five six seven eight nine ten"] * 12)
    assert all(piece.rstrip().endswith(("ten", end)) for piece in cut(text))


def test_a_text_without_sentences_is_cut_where_the_window_ends() -> None:
    pieces = cut(" ".join(f"w{number}" for number in range(200)))
    assert len(EMBEDDER.tokens(pieces[0])) == WINDOW


def test_a_sentence_end_in_the_first_half_of_the_window_is_too_early_to_cut() -> None:
    pieces = cut("One. " + " ".join(f"w{number}" for number in range(200)))
    assert len(EMBEDDER.tokens(pieces[0])) == WINDOW


def test_a_passage_repeats_the_end_of_the_one_before_it() -> None:
    pieces = cut(" ".join(f"w{number}" for number in range(200)))
    for before, after in pairwise(pieces):
        assert before.split()[-OVERLAP:] == after.split()[:OVERLAP]


TEXTS = st.lists(st.sampled_from(["word", "two words", "end.", "really?!", "\n", "東京", "。", "x" * 30]), max_size=400)


@settings(derandomize=True, max_examples=60, database=None, deadline=None)
@given(TEXTS.map(" ".join), st.sampled_from([None, "Ada"]))
def test_every_word_stands_in_a_passage_and_every_passage_fits_the_window(text: str, user: str | None) -> None:
    pieces = cut(text, user)
    assert all(len(EMBEDDER.tokens(piece)) <= WINDOW for piece in pieces)
    held = {word for piece in pieces for word in re.findall(r"\S+", piece)}
    assert set(re.findall(r"\S+", text)) <= held


@settings(derandomize=True, max_examples=30, database=None, deadline=None)
@given(st.integers(WINDOW + 1, 400))
def test_of_unlike_words_none_is_lost_and_their_order_is_kept(count: int) -> None:
    names = [f"w{number}" for number in range(count)]
    pieces = cut(" ".join(names))
    assert list(dict.fromkeys(word for piece in pieces for word in piece.split())) == names
