"""The context of a recall: what was found, as text that fits into a prompt."""

from collections.abc import Iterable

from commonplace.dialects.cognipeer.slug import SPACES
from commonplace.model.values import CHARACTERS_PER_TOKEN

UTF_16_UNIT = 2
"""Bytes of one."""


def context(contents: Iterable[str], max_tokens: int) -> str:
    """A line for each content, as long as they fit whole into so many tokens of four UTF-16 units, line ends included.

    The first that does not fit ends it. The whole has no white space at its ends.
    """
    room = max_tokens * CHARACTERS_PER_TOKEN
    lines = []
    for content in contents:
        line = f"- {content}\n"
        room -= _length(line)
        if room < 0:
            break
        lines.append(line)
    return "".join(lines).strip(SPACES)


def _length(text: str) -> int:
    return len(text.encode("utf-16-le")) // UTF_16_UNIT
