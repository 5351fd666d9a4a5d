"""Orgs, roles and teams: records that say how knowledge of a group is to be kept. They are no tenants."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class GroupKind(StrEnum):
    """What a group is."""

    ORG = "org"
    ROLE = "role"
    TEAM = "team"


class PromptSource(StrEnum):
    """Where a promotion prompt comes from."""

    GENERATED = "generated"
    MANUAL = "manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """An org, a role or a team. ``id`` of an org is the organization's; the others' are made here.

    ``prompt`` says what of its members' knowledge is worth promoting to it; ``prompted_at`` is when it was made.
    """

    id: str
    kind: GroupKind
    tenant: str
    organization: str
    name: str
    focus: str
    prompt: str
    prompt_source: PromptSource
    prompted_at: datetime
    created_at: datetime
    updated_at: datetime
    revision: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """What an update of a group asks for; None leaves a part as it is."""

    name: str | None = None
    focus: str | None = None
    prompt: str | None = None
