"""The key of a store, made of its name."""

import re
import unicodedata

from commonplace.dialects.cognipeer.letters import LETTERS

SPACES = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What is white space in ECMAScript. Python has five more and lacks the last."""

_LEFT_OUT = re.compile(f"[^A-Za-z0-9{SPACES}]+")
_BETWEEN = re.compile(f"[{SPACES}]+")


def store_key(name: str, epoch_milliseconds: int) -> str:
    """The key of a store: ``mem-`` and the slug of its name, or the time where nothing of the name can be spelt."""
    return f"mem-{slug(name) or epoch_milliseconds}"


def slug(name: str) -> str:
    """The name in a to z, 0 to 9 and hyphens, which may be nothing. The same as npm's slugify 1.6.x gives with ``lower``,
    ``strict`` and ``trim``: spaces and hyphens separate words, other punctuation vanishes without separating."""
    spelt = "".join(LETTERS.get(letter, letter) for letter in unicodedata.normalize("NFC", name).replace("-", " "))
    words = _BETWEEN.split(_LEFT_OUT.sub("", spelt))
    return "-".join(word for word in words if word).lower()
