"""How large an OpenSearch domain has to be: vectors are searched quickly only in memory."""

import itertools
import math
from dataclasses import dataclass

from costs.operations import FLOAT_BYTES, Memory
from costs.prices import GIB, INSTANCES, Instance

LINKS = 16
"""``m`` of the HNSW graph, as infra/index has it."""

MOST_HEAP = 32
"""GiB. Amazon gives the heap half of the memory, up to this."""

NATIVE_SHARE = 0.5
"""Of the memory beside the heap, what Faiss may take (``knn.memory.circuit_breaker.limit``)."""

DOCUMENT_BYTES, DOCUMENT_BYTES_PER_CHARACTER = 250, 1.15
"""Words, keywords and doc values of a document, without its vector: measured on OpenSearch 2.19.1, where 2,000 documents
with vectors of 16 numbers, in one segment, took 654 bytes each with 300 characters and at most 2,051 with 1,500. All of it is
counted as memory, which is on the safe side: seldom words need not be there."""

DISK_FACTOR = 1.45
"""Amazon's rule for disk: room for merges, the file system and the service (OpenSearch Service, "Sizing domains")."""

SOURCE_BYTES = 21
"""What a number of a vector takes in ``_recovery_source``: OpenSearch keeps each document as it was sent, in JSON, until a
merge lets it go. Measured on 2.19.1: with vectors of 1,024 numbers a fresh document took 25,459 bytes, and 8,733 after
merging for a while."""

LEAST_VOLUME, MOST_VOLUME = 10, 3072
"""GiB of a volume, as template.yaml takes them."""

COUNTS = (1, 3, 6, 9, 12)
"""Instances, as template.yaml takes them: 1, or the same number in each of three zones."""

SHARD = 30 * GIB
"""What a shard should have at most for searching (Amazon advises 10 to 30 GiB)."""

MOST_SHARDS = 100


class TooLarge(Exception):
    """No domain that template.yaml can create holds this."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the index is kept: the engine, copies besides the first, and the factor by which memory is more than needed."""

    engine: str = "lucene"
    replicas: int = 1
    headroom: float = 1.1


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain: its instances, the GiB of the volume of each, and the shards of the index."""

    instance: Instance
    count: int
    volume: int
    shards: int
    replicas: int

    @property
    def hourly(self) -> float:
        """Dollars for an hour of all instances."""
        return self.count * self.instance.usd


def vector_bytes(dimension: int) -> float:
    """Memory that a vector takes with its place in the graph."""
    return 1.1 * (FLOAT_BYTES * dimension + 8 * LINKS)


def text_bytes(memory: Memory) -> float:
    """What a document takes without its vector."""
    return DOCUMENT_BYTES + DOCUMENT_BYTES_PER_CHARACTER * memory.characters / memory.passages


def memory_needed(memories: int, memory: Memory, layout: Layout) -> float:
    """Bytes that should be in memory: all vectors, words and doc values, with their copies and the headroom."""
    document = vector_bytes(memory.dimension) + text_bytes(memory)
    return memories * memory.passages * document * (1 + layout.replicas) * layout.headroom


def disk_needed(memories: int, memory: Memory, layout: Layout) -> float:
    """Bytes of disk: for the index, and for another one beside it that is being rebuilt, all of it fresh."""
    fresh = memories * memory.passages * SOURCE_BYTES * memory.dimension
    return (2 * _index_bytes(memories, memory) + fresh) * (1 + layout.replicas) * DISK_FACTOR


def usable(instance: Instance, engine: str) -> float:
    """Bytes of an instance in which vectors may be: Lucene's in the file cache, which is all beside the heap."""
    beside = instance.memory - min(instance.memory / 2, MOST_HEAP)
    return beside * GIB * (NATIVE_SHARE if engine == "faiss" else 1)


def sized(memories: int, memory: Memory, layout: Layout) -> Domain:
    """The cheapest domain whose memory holds the index; the one of fewer instances if two cost the same.

    One instance holds no copies, and burstable ones (t3) are for trying: only without copies. Raises ``TooLarge``.
    """
    needed = memory_needed(memories, memory, layout)
    disk = disk_needed(memories, memory, layout)
    fitting = [
        Domain(instance, count, _volume(disk, count), _shards(memories, memory, count), layout.replicas)
        for instance, count in itertools.product(INSTANCES, COUNTS)
        if count * usable(instance, layout.engine) >= needed
        and disk <= count * MOST_VOLUME * GIB
        and (layout.replicas == 0 or (count > layout.replicas and not instance.name.startswith("t")))
    ]
    if not fitting:
        raise TooLarge(
            f"{memories:,} memories need {needed / GIB:,.0f} GiB of memory and {disk / GIB:,.0f} GiB of disk: more than"
            f" {COUNTS[-1]} instances of {INSTANCES[-1].name} have"
        )
    return min(fitting, key=lambda domain: (round(domain.hourly, 6), domain.count))


def _index_bytes(memories: int, memory: Memory) -> float:
    return memories * memory.passages * (vector_bytes(memory.dimension) + text_bytes(memory))


def _volume(disk: float, count: int) -> int:
    return max(LEAST_VOLUME, math.ceil(disk / count / GIB))


def _shards(memories: int, memory: Memory, count: int) -> int:
    """As few as keep each small enough, the same number on each instance where there are several."""
    needed = max(1, math.ceil(_index_bytes(memories, memory) / SHARD))
    if needed == 1:
        return 1
    return min(MOST_SHARDS, count * math.ceil(needed / count))
