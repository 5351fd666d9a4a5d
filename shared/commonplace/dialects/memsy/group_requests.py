"""Memsy's requests about orgs, roles and teams."""

from dataclasses import dataclass

from commonplace.dialects.memsy.fields import Fields, mapping
from commonplace.dialects.memsy.organization import meant, own
from commonplace.dialects.memsy.query import Parameters, Query
from commonplace.model.directory import GroupChange
from commonplace.model.values import Json

LISTED = 100
MOST_LISTED = 200

MOST_FOCUS = 4000
"""Characters of a focus."""

MOST_PROMPT = 16_000
"""Characters of a promotion prompt. The API knows no limit; one that is made of name and focus is far shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOrder:
    """An org, a role or a team as a caller asks for it, of the caller's organization."""

    organization: str
    name: str
    focus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupListing:
    """Which roles or teams a list asks for, of the caller's organization."""

    organization: str
    limit: int
    offset: int


def group_order(body: Json, organization: str) -> GroupOrder:
    """POST /orgs, /roles and /teams. Raises ``Foreign`` for another organization than the caller's."""
    fields = Fields(mapping(body))
    return GroupOrder(
        organization=own(fields.named("org_id"), organization),
        name=fields.required("name"),
        focus=fields.required("focus", MOST_FOCUS),
    )


def group_change(body: Json) -> GroupChange:
    """PATCH /orgs/{id}, /roles/{id} and /teams/{id}. A prompt may be empty."""
    fields = Fields(mapping(body))
    return GroupChange(
        name=fields.told("name"),
        focus=fields.told("focus", MOST_FOCUS),
        prompt=fields.text("promotion_prompt", MOST_PROMPT),
    )


def group_listing(query: Query, organization: str) -> GroupListing:
    """GET /roles and /teams. Raises ``Foreign`` for another organization than the caller's."""
    parameters = Parameters(query)
    return GroupListing(
        organization=meant(query, organization),
        limit=parameters.limit(LISTED, MOST_LISTED),
        offset=parameters.offset(),
    )
