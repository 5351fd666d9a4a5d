"""The Index port: vectors and words, one collection of documents for each embedding space."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from commonplace.model.document import Document, Findings, Probe, Removal
from commonplace.model.errors import CommonplaceError
from commonplace.model.filter import Filter
from commonplace.model.space import Space

Outcome: TypeAlias = CommonplaceError | None
"""What became of one document: None where it is done; ``Unavailable`` where it may be done later; ``Invalid`` where this
very document is refused."""


class Index(Protocol):
    """A finder, never the truth. Documents carry the external version that wrote them: a write with a lower version
    than the one that is there changes nothing and is no error; an equal one goes through."""

    async def upsert(self, space: Space, documents: Sequence[Document]) -> list[Outcome]:
        """Writes the documents; when it returns, searches see them. What became of each, in order.

        The space is made on first use. Raises ``Unavailable`` when nothing could be written at all.
        """

    async def delete(self, space: Space, removals: Sequence[Removal]) -> list[Outcome]:
        """Removes the documents, and is done also with one that was not there. What became of each, in order."""

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
