"""What one operation of the service consumes of DynamoDB.

The formulas are the service's writes (``commonplace.rows``) under AWS's rules: a write costs a unit for each KB begun, twice
that in a transaction, and one for each entry of an index that comes or goes; a consistent read costs a unit for each 4 KB
begun of an item. ``tests/benchmarks/capacity.py`` measures the same on DynamoDB Local, and a test compares.
"""

from dataclasses import dataclass

KILOBYTE = 1024
READ_BYTES = 4096
FLOAT_BYTES = 4

ROW_BYTES = 901
"""A memory's row without its text: an agent's, without tags and metadata."""

VECTORS_BYTES = 146
"""The item that holds its vectors, without them."""

ENTRY_BYTES = 604
"""Its entries in the three lists: all memories, the agent's, the organization's."""

EVENT_BYTES = 606
"""An event's row without its content."""

MADE_BYTES = 1189
"""The row, without its text, of a memory that was made of an event: with what was understood of it."""

ITEM_OVERHEAD = 100
"""Bytes that DynamoDB adds to each item and to each entry of an index when it bills storage."""

HITS = 10
"""Rows that a search reads."""

PAGE = 20
"""Rows that a page of a list reads."""

CHARACTERS_PER_TOKEN = 4
"""Of English, about."""

WINDOW, OVERLAP = 512, 24
"""Tokens of a passage, and those that it shares with the one before it."""


@dataclass(frozen=True, slots=True)
class Units:
    """Request units: of writes and of reads."""

    writes: float = 0.0
    reads: float = 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """A typical memory: the characters of its text (of one byte each) and the length of its vectors."""

    characters: int
    dimension: int

    @property
    def tokens(self) -> int:
        """What the model is asked to embed."""
        return -(-self.characters // CHARACTERS_PER_TOKEN)

    @property
    def passages(self) -> int:
        """How many vectors it has, and documents in the index."""
        if self.tokens <= WINDOW:
            return 1
        return -(-(self.tokens - OVERLAP) // (WINDOW - OVERLAP))

    @property
    def row(self) -> int:
        """Bytes of its row."""
        return ROW_BYTES + self.characters

    @property
    def vectors(self) -> int:
        """Bytes of the item with its vectors."""
        return VECTORS_BYTES + self.passages * self.dimension * FLOAT_BYTES

    @property
    def stored(self) -> int:
        """Bytes that the table keeps of it and bills."""
        return self.row + self.vectors + 2 * ITEM_OVERHEAD

    @property
    def listed(self) -> int:
        """Bytes that the indexes keep of it and bill."""
        return ENTRY_BYTES + 3 * ITEM_OVERHEAD


def kilobytes(size: int) -> int:
    """How many KB are begun."""
    return max(1, -(-size // KILOBYTE))


def read_units(size: int) -> int:
    """What a consistent read of an item costs."""
    return max(1, -(-size // READ_BYTES))


def operations(memory: Memory) -> dict[str, Units]:
    """Each operation by its name: on a memory of an agent that is known, without webhooks."""
    row, vectors, read = kilobytes(memory.row), kilobytes(memory.vectors), read_units(memory.row)
    event, made = kilobytes(EVENT_BYTES + memory.characters), kilobytes(MADE_BYTES + memory.characters)
    return {
        # The row, with entries in three lists and in what is to become memories; the note of its words; the counters of events,
        # of the month and of the day. Reads: the note.
        "tell an event": Units(2 * event + 4 + 2 + 3 * 2, 1),
        # The row, with entries in four lists and in what is to be indexed; the claim of its text; the counters of the store, of
        # the session, of the month and of the day; then the row again, which leaves what is to be indexed, and the vectors; its
        # sources; the event, which leaves what is to become memories. Reads: the event, the webhooks twice, the sources.
        "make its memory": Units(2 * made + 5 + 2 + 4 * 2 + 2 * made + 1 + 2 * vectors + 1 + event + 1, 4),
        # The row, the counters of the store and of the agent; entries in three lists and in what is to be indexed. Reads: the
        # agent by its id (which it is not) and by its name, the agent, the webhooks.
        "create": Units(2 * row + 2 * 2 + 4, 4),
        # Besides: the session's counter, the check of the session, the contributor, an entry in the session's list.
        "create in a session": Units(2 * row + 2 * 2 + 4 + 2 + 2 + 2 + 1, 5),
        # The row and the vectors; it leaves what is to be indexed. Reads: the row, the webhooks.
        "index": Units(2 * row + 2 * vectors + 1, read + 1),
        "search": Units(0, HITS * read),
        "get": Units(0, read),
        # The rows, the list, the counter.
        "list": Units(0, PAGE * read + 0.5 + 1),
        # The row becomes a tombstone, the vectors go, the counter of its accesses, two counters, three lists; it comes to what
        # is to be taken out of the index (1), and leaves it by a write of its own (2). Reads: the row, the webhooks.
        "delete": Units(2 * row + 2 * vectors + 2 + 2 * 2 + 3 + 1 + 2, read + 1),
        # A look into each of 8 shards of what waits for the index, has expired, is due to be delivered, is to be cleared, is to
        # become memories, is to be promoted.
        "sweep": Units(0, 6 * 8 * 0.5),
    }
