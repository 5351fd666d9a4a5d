"""How large an answer may be: the same everywhere, so that what works on one machine works on AWS."""

from commonplace.rows.listing import LARGEST, carried, too_large

ENVELOPE = 16 * 1024
"""Bytes of these that are left to status and headers: API Gateway takes 10,240 of them."""

WIDEST = 4
"""Bytes of a character in UTF-8 at most; one that has to be escaped has two."""


def demand_carried(text: str) -> None:
    """Raises ``Invalid`` for JSON that is too large for Lambda, which carries it as a string in other JSON."""
    most = LARGEST - ENVELOPE
    if len(text) * WIDEST > most and carried(text) > most:
        raise too_large()
