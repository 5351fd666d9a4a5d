"""The Index port: vectors and words, one collection of documents for each embedding space."""

from collections.abc import Sequence
from typing import Protocol

from commonplace.model.document import Document, Findings, Probe, Removal
from commonplace.model.filter import Filter
from commonplace.model.space import Space


class Index(Protocol):
    """A finder, never the truth. Documents carry the external version that wrote them: a write with a lower version
    than the one that is there changes nothing and is no error; an equal one goes through."""

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[str | None]:
        """Writes the documents; when it returns, searches see them. For each document None, or why it was not written.

        The space is made on first use. Raises ``Unavailable`` when nothing could be written at all.
        """

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[str | None]:
        """Removes the documents; for each None (also when it was not there), or why it is still there."""

    async def search(self, space: Space, probe: Probe, filter: Filter) -> Findings:
        """What both arms find inside the tenant and the filter, each up to ``k`` passages, best first.

        The filter is applied before the cut. A space that was never written to is empty, not an error. An arm that
        fails says so in its ``Arm``; raises ``Unavailable`` only when neither could be asked.
        """

    async def spaces(self) -> list[Space]:
        """The spaces that hold documents or have held some."""

    async def renew(self, space: Space) -> None:
        """Begins to build a space anew: from now on documents are written to a fresh collection, and until ``retire``
        searches see the old one as well. An engine whose collections never have to be made anew does nothing."""

    async def retire(self, space: Space) -> None:
        """Ends what ``renew`` began: the old collection goes."""
