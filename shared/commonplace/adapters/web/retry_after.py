"""The header Retry-After (RFC 9110, section 10.2.3)."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil


def retry_after(value: str | None) -> int | None:
    """A Retry-After in seconds from now, at least 0, or None if there is none that can be read."""
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    try:
        date = parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=UTC)
        return max(0, ceil((date - datetime.now(UTC)).total_seconds()))
    except (ValueError, TypeError, IndexError, OverflowError):  # the parser lets slip all of these
        return None
