"""How relevant a text is to a query, in [0,1]: absolute evidence, calibrated for the embedder.

Ranking tells which text is the best one there is; relevance tells whether it is any good. In a store with three memories
the best may be worth nothing, so relevance never looks at the other candidates.
"""

import math
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from commonplace.core.english import GENERIC, STOPWORDS
from commonplace.ports.embedder import Calibration, Knots

# Weights of words by inverse document frequency, as if the store held so many texts and a word stood in so many of them:
# the store's own counts mean nothing while it is small.
TEXTS = 200
RARE = 0.4
COMMON = 100.0
LEAST_MASS = 7.0
"""A query of one plain word is not much evidence even when the text has the word."""

WORDS_WEIGHT = 0.6
GATE = 0.25
"""The cosine from which on shared words count in full."""

STRETCH = 1_500
"""Long content is judged by the best stretch of this many characters, since it shares words with everything. Stretches
overlap by half."""

_WORD = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """The words of a text: lower case, without accents, split as the words arm splits them (FTS5's unicode61)."""
    return _WORD.findall(_plain(text))


def _plain(text: str) -> str:
    plain = text.lower()
    if plain.isascii():
        return plain
    plain = unicodedata.normalize("NFKD", plain)
    return plain.translate({ord(letter): None for letter in set(plain) if unicodedata.combining(letter)})


def telling(query: str) -> list[str]:
    """The words of a query, each once and in order, without those that only carry grammar unless there are no others."""
    found = list(dict.fromkeys(words(query)))
    return [word for word in found if word not in STOPWORDS] or found


class Question:
    """A query, ready to be held against texts."""

    def __init__(self, query: str, calibration: Calibration) -> None:
        self._calibration = calibration
        self._weights = _weights(query)
        self._initials = {word[0] for word in self._weights}
        self._mass = max(sum(self._weights.values()), LEAST_MASS)

    def relevance(self, text: str, cosine: float | None) -> float:
        """The relevance of a text in [0,1]; ``cosine`` is that of its best passage, None where there is no vector.

        ``z = cosine + WORDS_WEIGHT * share * max(share, cosine / GATE)``, the quotient held in [0,1]: a few shared words
        count in full only where the meaning supports them. The curve and the constants were fitted on pairs of queries
        and memories (tests/data/pairs.json) and on dialogue.
        """
        share = self.share(text)
        if cosine is None:
            return interpolated(self._calibration.words, share)
        support = min(1.0, max(0.0, cosine / GATE))
        return interpolated(self._calibration.together, cosine + WORDS_WEIGHT * share * max(share, support))

    def share(self, text: str) -> float:
        """The share in [0,1] of the query's words that the text has in one stretch, rare words counting for more."""
        stretches: defaultdict[int, set[str]] = defaultdict(set)
        for match in _WORD.finditer(_plain(text)):
            word = match[0]
            # Most words cannot be meant, and to stem one takes long; it leaves the first letter as it is.
            if word[0] in self._initials and (stemmed := stem(word)) in self._weights:
                half = match.start() // (STRETCH // 2)
                stretches[half].add(stemmed)
                stretches[half - 1].add(stemmed)
        return max(map(self._share, stretches.values()), default=0.0)

    def _share(self, have: Collection[str]) -> float:
        return sum(weight for word, weight in self._weights.items() if word in have) / self._mass


@cache
def _stemmer() -> Any:
    # Its package loads the rules of every language, and only what searches or sums up needs those of one.
    import snowballstemmer

    return snowballstemmer.stemmer("english")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The stem of an English word; other words mostly stay as they are."""
    return str(_stemmer().stemWord(word))


def interpolated(knots: Knots, value: float) -> float:
    """The height of the curve at ``value``."""
    if value <= knots[0][0]:
        return knots[0][1]
    for (x0, y0), (x1, y1) in pairwise(knots):
        if value <= x1:
            return y0 + (y1 - y0) * (value - x0) / (x1 - x0)
    return knots[-1][1]


def _weights(query: str) -> Mapping[str, float]:
    return {
        stem(word): math.log((TEXTS + 1) / (1 + (COMMON if word in GENERIC or word in STOPWORDS else RARE)))
        for word in reversed(telling(query))
    }
