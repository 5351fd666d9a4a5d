"""Cursors: opaque, signed, and bound to the tenant and the list that they continue."""

import base64
import binascii
import hashlib
import hmac

from commonplace.model.errors import Invalid
from commonplace.ports.world import Ids
from commonplace.rows.apikeys import Secrets
from commonplace.rows.listing import Place

SIGNATURE_BYTES = 16

VERSION = b"2"
"""Signed with every cursor, so that those of an earlier version are refused and not misread."""


class Cursors:
    """Writes and reads cursors with the service's own secret, which is made on first use."""

    def __init__(self, secrets: Secrets, ids: Ids) -> None:
        self._secrets = secrets
        self._ids = ids
        self._key: bytes | None = None

    async def write(self, place: Place | None, *bound: object) -> str | None:
        """The cursor of a place in the list that ``bound`` describes; None for the end of a list."""
        if place is None:
            return None
        payload = f"{place.offset} {place.after}".encode()
        return base64.urlsafe_b64encode(await self._signature(payload, bound) + payload).decode().rstrip("=")

    async def read(self, cursor: str | None, *bound: object) -> Place | None:
        """The place that a cursor means. Raises ``Invalid`` for one that was not made for this list."""
        if cursor is None:
            return None
        try:
            data = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise Invalid.field("cursor", "Not a cursor of this list") from error
        signature, payload = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, await self._signature(payload, bound)):
            raise Invalid.field("cursor", "Not a cursor of this list")
        offset, _, after = payload.decode().partition(" ")
        return Place(after, int(offset))

    async def _signature(self, payload: bytes, bound: tuple[object, ...]) -> bytes:
        if self._key is None:
            self._key = (await self._secrets.get("cursor", self._ids.token())).encode()
        message = VERSION + payload + b"\n" + repr(bound).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, hashlib.sha256)[:SIGNATURE_BYTES]
