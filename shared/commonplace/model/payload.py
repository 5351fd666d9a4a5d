"""How large an answer may be: the same everywhere, so that what works on one machine works on AWS."""

from commonplace.model.errors import Invalid

LARGEST = 6 * 1024 * 1024
"""Bytes that Lambda takes of a function's answer (AWS, "Lambda quotas")."""

ENVELOPE = 16 * 1024
"""Bytes of these that are left to status and headers: API Gateway takes 10,240 of them."""

WIDEST = 4
"""Bytes of a character in UTF-8 at most; one that has to be escaped has two."""


def demand_carried(text: str) -> None:
    """Raises ``Invalid`` for JSON that is too large for Lambda, which carries it as a string in other JSON."""
    most = LARGEST - ENVELOPE
    if len(text) * WIDEST > most and carried(text) > most:
        raise too_large()


def carried(text: str) -> int:
    """Bytes of JSON when Lambda carries it as a string in other JSON.

    There quotes and backslashes are escaped once more; all others stay as they are (since Python 3.12, and JSON has no
    control characters).
    """
    return len(text.encode()) + text.count('"') + text.count("\\")


def too_large() -> Invalid:
    """What is said where an answer would have more than ``LARGEST`` bytes."""
    return Invalid("The answer would be larger than 6 MB; ask for less at once, as with a smaller limit")
