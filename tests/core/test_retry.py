import pytest

from commonplace.core.retry import TRIES, until_settled
from commonplace.model.errors import Conflict, NotFound

pytestmark = pytest.mark.anyio


class Attempts:
    """Fails with these errors, one after the other, then returns how often it was made."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    async def __call__(self) -> int:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.made


async def test_what_works_is_done_once() -> None:
    assert await until_settled(Attempts()) == 1


async def test_while_others_are_quicker_it_is_done_again() -> None:
    assert await until_settled(Attempts(*[Conflict("x")] * (TRIES - 1))) == TRIES


async def test_in_the_end_the_conflict_is_told() -> None:
    attempts = Attempts(*[Conflict("x")] * 100)
    with pytest.raises(Conflict):
        await until_settled(attempts)
    assert attempts.made == TRIES


async def test_any_other_error_is_told_at_once() -> None:
    attempts = Attempts(NotFound("memory"))
    with pytest.raises(NotFound):
        await until_settled(attempts)
    assert attempts.made == 1
