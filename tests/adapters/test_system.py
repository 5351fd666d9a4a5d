import uuid
from datetime import UTC

from commonplace.adapters.system import RandomIds, SystemClock


def test_ids_of_one_process_sort_as_they_were_made() -> None:
    ids = RandomIds()
    made = [ids.new() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {uuid.UUID(id).version for id in made} == {7}


def test_unordered_ids_say_nothing_of_their_order() -> None:
    ids = RandomIds()
    made = [ids.unordered() for _ in range(1_000)]
    assert len(set(made)) == len(made)
    assert made != sorted(made)
    for id in made:
        assert str(uuid.UUID(id)) == id
        assert (uuid.UUID(id).version, uuid.UUID(id).variant) == (4, uuid.RFC_4122)


def test_tokens_are_long_and_never_the_same() -> None:
    ids = RandomIds()
    tokens = {ids.token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_a_jitter_is_a_part_of_one() -> None:
    assert all(0 <= RandomIds().jitter() < 1 for _ in range(100))


def test_the_time_is_told_in_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
