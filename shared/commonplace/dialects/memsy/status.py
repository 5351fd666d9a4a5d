"""The status of a memory."""

from collections.abc import Mapping
from enum import StrEnum

from commonplace.model.memory import Standing


class Status(StrEnum):
    """Whether a memory is in use, in this API's words."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DECAYED = "decayed"
    SUPERSEDED = "superseded"


STATUS: Mapping[Standing, Status] = {
    Standing.ACTIVE: Status.ACTIVE,
    Standing.ARCHIVED: Status.ARCHIVED,
    Standing.EXPIRED: Status.DECAYED,
}
"""The status of each standing. What fades is not taken out of use here; what is out of use because of its age has expired."""

STANDING: Mapping[Status, Standing] = {status: standing for standing, status in STATUS.items()}
"""The standing of each status that a memory can have."""
