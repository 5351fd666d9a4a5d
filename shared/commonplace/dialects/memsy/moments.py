"""Times, as this API reads and writes them."""

from datetime import UTC, datetime


def moment(text: str) -> datetime:
    """A time in ISO 8601, in UTC; without an offset it is UTC already. Raises ``ValueError``."""
    found = datetime.fromisoformat(text)
    try:
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(text) from error


def iso(moment: datetime) -> str:
    """A time in ISO 8601, in UTC, to the microsecond as far as it has any."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat()}Z"


def maybe_iso(moment: datetime | None) -> str | None:
    """The same of a time that need not be there."""
    return None if moment is None else iso(moment)
