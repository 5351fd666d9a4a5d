"""Of how many lengths callers may bring vectors: each length is a space of the index of its own, which is not cheap."""

from commonplace.core.retry import until_settled
from commonplace.model.errors import Invalid
from commonplace.rows.lengths import VectorLengths

MOST_REMEMBERED = 10_000


class Gauge:
    """Lets in vectors of at most so many different lengths for each organisation, and for each tenant in all.

    A length that was let in once stays known, also when nothing of that length is left.
    """

    def __init__(self, lengths: VectorLengths, organization: int, tenant: int) -> None:
        self._lengths = lengths
        self._organization = organization
        self._tenant = tenant
        self._seen: set[tuple[str, str | None, int]] = set()

    async def __call__(self, tenant: str, organization: str | None, length: int) -> None:
        """Raises ``Invalid`` if vectors of this length are one length too many."""
        if (tenant, organization, length) in self._seen:
            return

        async def attempt() -> None:
            own, all = seen = await self._lengths.get(tenant, organization)
            if length in own.known:
                return
            if len(own.known) >= self._organization:
                raise Invalid("too many embedding dimensions for this organization")
            if length not in all.known and len(all.known) >= self._tenant:
                raise Invalid("too many embedding dimensions")
            await self._lengths.add(tenant, organization, length, seen)

        # Whoever is overtaken is so by a new length, of which no more than these can come in.
        await until_settled(attempt, self._organization + self._tenant + 1)
        if len(self._seen) >= MOST_REMEMBERED:
            self._seen.clear()
        self._seen.add((tenant, organization, length))
