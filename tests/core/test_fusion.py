import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commonplace.core.fusion import Fused, fused, never_rising
from commonplace.model.document import Arm, Candidate


def arm(**scores: float) -> Arm:
    return Arm(tuple(Candidate(memory, 0, 1, score) for memory, score in scores.items()))


def test_both_arms_count_by_their_weight() -> None:
    ranking = fused(arm(a=0.9, b=0.5, c=0.1), arm(c=7.0, b=6.0, d=5.0), 0.4)
    assert [each.memory for each in ranking] == ["c", "b", "a", "d"]
    assert {each.memory: round(each.score, 6) for each in ranking} == {"c": 0.6, "b": 0.5, "a": 0.4, "d": 0.0}


def test_what_each_arm_said_is_kept() -> None:
    by_memory = {each.memory: each for each in fused(arm(a=0.9, b=0.5), arm(b=6.0, c=5.0), 0.4)}
    assert (by_memory["a"].cosine, by_memory["a"].words) == (0.9, None)
    assert (by_memory["b"].cosine, by_memory["b"].words) == (0.5, 6.0)


def test_a_memory_that_the_vectors_did_not_find_is_no_nearer_than_the_last_that_they_did() -> None:
    by_memory = {each.memory: each for each in fused(arm(a=0.9, b=0.5), arm(c=5.0), 0.4)}
    assert by_memory["c"].cosine == 0.5


def test_without_the_vectors_there_is_no_cosine() -> None:
    ranking = fused(Arm(), arm(a=1.0, b=2.0), 0.4)
    assert [(each.memory, each.cosine) for each in ranking] == [("b", None), ("a", None)]


def test_without_the_words_the_vectors_rank_alone() -> None:
    assert [each.memory for each in fused(arm(a=-0.5, b=0.5), Arm(), 0.4)] == ["b", "a"]


def test_nothing_found_is_an_empty_ranking() -> None:
    assert fused(Arm(), Arm(failure="broken"), 0.4) == []


def test_passages_fold_to_their_memory_by_the_best() -> None:
    passages = Arm((Candidate("a", 3, 2, 0.7), Candidate("b", 0, 1, 0.6), Candidate("a", 1, 1, 0.2)))
    assert [(each.memory, each.cosine, each.version) for each in fused(passages, Arm(), 1.0)] == [
        ("a", 0.7, 2),
        ("b", 0.6, 1),
    ]
    reversed_passages = Arm(tuple(reversed(passages.candidates)))
    assert fused(reversed_passages, Arm(), 1.0) == fused(passages, Arm(), 1.0)


def test_the_older_version_of_two_arms_counts() -> None:
    (found,) = fused(Arm((Candidate("a", 0, 2, 0.7),)), Arm((Candidate("a", 0, 1, 3.0),)), 0.5)
    assert found == Fused("a", 1.0, 0.7, 3.0, 1)


@pytest.mark.parametrize("order", [("a", "b", "c"), ("c", "a", "b")])
def test_equals_stand_in_the_order_of_their_ids(order: tuple[str, ...]) -> None:
    ranking = fused(arm(**dict.fromkeys(order, 0.5)), Arm(), 0.4)
    assert [each.memory for each in ranking] == ["a", "b", "c"]


def test_scores_are_raised_to_the_highest_that_follows() -> None:
    assert never_rising([0.5, 0.7, 0.1, 0.3, 0.2]) == [0.7, 0.7, 0.3, 0.3, 0.2]
    assert never_rising([]) == []


ARM = st.dictionaries(st.sampled_from("abcdef"), st.floats(-1.0, 1.0)).map(lambda scores: arm(**scores))


@settings(derandomize=True, max_examples=100, database=None)
@given(ARM, ARM, st.floats(0.0, 1.0))
def test_every_memory_stands_once_with_a_score_in_bounds_best_first(vectors: Arm, words: Arm, weight: float) -> None:
    ranking = fused(vectors, words, weight)
    assert {each.memory for each in ranking} == {each.memory for each in (*vectors.candidates, *words.candidates)}
    assert len({each.memory for each in ranking}) == len(ranking)
    scores = [each.score for each in ranking]
    assert scores == sorted(scores, reverse=True)
    assert all(-1e-9 <= score <= 1 + 1e-9 for score in scores)
