"""The body of a request."""

from starlette.requests import Request

from commonplace.model.errors import TooLarge

MOST_DIGITS = 19
"""Of a length in bytes: as many as 64 bits have."""


class Body:
    """A body that is read when it is first asked for, and only once."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._pieces: list[bytes] = []
        self._size = _declared(request)
        self._read = False

    async def within(self, limit: int) -> bytes:
        """The whole body. Raises ``TooLarge`` for one of more than ``limit`` bytes, of which it reads little more.

        The limit may be asked for again, and smaller ones; not larger ones.
        """
        if self._size <= limit and not self._read:
            await self._receive(limit)
        if self._size > limit:
            raise TooLarge(f"The request body is larger than {limit} bytes")
        return b"".join(self._pieces)

    async def _receive(self, limit: int) -> None:
        self._size, self._read = 0, True
        async for piece in self._request.stream():
            self._size += len(piece)
            self._pieces.append(piece)
            if self._size > limit:
                return


def _declared(request: Request) -> int:
    """What the request says; nothing is the least that it can be."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return 0
    return int(length[: MOST_DIGITS + 1])
