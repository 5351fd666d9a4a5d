import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.core.relevance import STRETCH, Question, interpolated, stem, telling, words
from commonplace.ports.embedder import Calibration

KNOTS = ((0.0, 0.1), (0.5, 0.3), (1.0, 0.9))
CALIBRATION = Calibration(together=KNOTS, words=((0.0, 0.0), (1.0, 0.8)))
QUERY = "favourite colour of the kitchen wall"


def question(query: str = QUERY) -> Question:
    return Question(query, CALIBRATION)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The Dark-mode, please!", ["the", "dark", "mode", "please"]),
        ("Café ÉCOLE naïve", ["cafe", "ecole", "naive"]),
        ("snake_case it's 42", ["snake", "case", "it", "s", "42"]),
        ("東京 タワー", ["東京", "タワー"]),
        ("?!", []),
        ("", []),
    ],
)
def test_words_are_lower_case_without_accents_and_marks(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_the_words_that_tell_are_those_that_do_not_only_carry_grammar() -> None:
    assert telling("What is the colour of the colour wall") == ["colour", "wall"]


def test_where_there_is_only_grammar_grammar_has_to_tell() -> None:
    assert telling("to be or not to be") == ["to", "be", "or", "not"]


@pytest.mark.parametrize(
    ("value", "height"), [(-1.0, 0.1), (0.0, 0.1), (0.25, 0.2), (0.5, 0.3), (0.75, 0.6), (1.0, 0.9), (9.0, 0.9)]
)
def test_a_curve_is_straight_between_its_knots_and_flat_outside(value: float, height: float) -> None:
    assert interpolated(KNOTS, value) == pytest.approx(height)


def test_a_text_with_all_the_words_has_the_whole_share_whatever_their_form_and_case() -> None:
    assert question().share("The walls of kitchens: favourite COLOURS") == pytest.approx(1.0)
    assert question().share("Nothing in common") == 0.0
    assert 0.0 < question().share("a colour") < 1.0


def test_rare_words_count_for_more_than_those_of_every_topic() -> None:
    asked = question("user zanzibar")
    assert asked.share("zanzibar") > asked.share("user")


def test_one_plain_word_is_not_much_evidence() -> None:
    assert question("colour").share("colour") < 1.0


def test_a_query_without_words_shares_none() -> None:
    assert question("?!").share("anything") == 0.0
    assert question().share("") == 0.0


def test_a_long_text_is_judged_by_its_best_stretch() -> None:
    filler = "lorem ipsum " * 400
    together = f"{filler} favourite colour kitchen wall {filler}"
    apart = f"favourite colour {filler} kitchen wall"
    assert len(filler) > 2 * STRETCH
    assert question().share(together) == pytest.approx(1.0)
    assert question().share(apart) < 1.0


@settings(derandomize=True, max_examples=300, database=None)
@given(st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=12))
def test_stemming_leaves_the_first_letter(text: str) -> None:
    for word in words(text):
        assert stem(word)[0] == word[0]


@pytest.mark.parametrize("place", range(0, 4 * STRETCH, 100))
def test_what_stands_near_each_other_is_one_stretch_wherever_it_stands(place: int) -> None:
    text = "x" * place + " favourite colour kitchen wall"
    assert question().share(text) == pytest.approx(1.0)


def test_without_a_cosine_the_words_alone_decide() -> None:
    assert question().relevance("favourite colour kitchen wall", None) == pytest.approx(0.8)
    assert question().relevance("nothing", None) == 0.0


def test_shared_words_raise_what_the_cosine_says() -> None:
    asked = question()
    assert asked.relevance("nothing", 0.5) == pytest.approx(0.3)
    assert asked.relevance("colour", 0.3) > asked.relevance("nothing", 0.3)
    assert asked.relevance("favourite colour kitchen wall", 0.5) == pytest.approx(0.9)


def test_a_few_shared_words_count_for_less_where_the_meaning_does_not_support_them() -> None:
    asked = Question(QUERY, Calibration(together=((-1.0, 0.0), (2.0, 1.0)), words=KNOTS))
    gain = [asked.relevance("colour", cosine) - asked.relevance("nothing", cosine) for cosine in (-0.2, 0.4)]
    assert 0.0 < gain[0] < gain[1]


def test_other_languages_stay_as_they_are() -> None:
    assert stem("日本語") == "日本語"
    assert stem("preferences") == stem("preference")


@settings(derandomize=True, max_examples=100, database=None)
@given(st.text(max_size=60), st.text(max_size=200), st.none() | st.floats(-1.0, 1.0))
def test_relevance_lies_between_nothing_and_everything(query: str, text: str, cosine: float | None) -> None:
    assert 0.0 <= question(query).relevance(text, cosine) <= 1.0
