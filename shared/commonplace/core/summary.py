"""A summary by extraction: the sentences that say most of what a session is about."""

import re
from collections import Counter
from collections.abc import Sequence

from commonplace.core.relevance import stem, telling

MOST_CHARACTERS = 1_000

MOST_READ = 200_000
"""Characters of the contents that are read, of each an equal share: a second's work."""

_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|\n+")


def summarized(contents: Sequence[str], most: int = MOST_CHARACTERS) -> str:
    """The most central sentences of the contents, in their own order, in at most ``most`` characters.

    A sentence is central if its words stand in many of the contents; of equal sentences one is kept. No text model is
    asked, so nothing is said that was not written. Of contents that are longer than ``MOST_READ`` together the beginnings
    count, as far as none has more than another.
    """
    share = _share([len(content) for content in contents])
    sentences = list(
        dict.fromkeys(
            sentence.strip()
            for content in contents
            for sentence in _SENTENCES.split(content[:share])
            if sentence.strip()
        )
    )
    stems = [{stem(word) for word in telling(sentence)} for sentence in sentences]
    spread = Counter(word for words in stems for word in words)
    weights = [sum(spread[word] for word in words) / (len(words) + 3) for words in stems]
    chosen: list[int] = []
    length = 0
    for number in sorted(range(len(sentences)), key=lambda number: (-weights[number], number)):
        if length + len(sentences[number]) + 1 <= most:
            chosen.append(number)
            length += len(sentences[number]) + 1
    if not chosen:
        return sentences[0][:most] if sentences else ""
    return " ".join(sentences[number] for number in sorted(chosen))


def _share(lengths: Sequence[int]) -> int:
    """The most characters of each content, so that all together have at most ``MOST_READ``."""
    left = MOST_READ
    for done, length in enumerate(sorted(lengths)):
        share = left // (len(lengths) - done)
        if length > share:
            return share
        left -= length
    return MOST_READ
