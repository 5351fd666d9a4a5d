"""Memsy's search."""

import re
from dataclasses import dataclass

from commonplace.dialects.memsy.event_requests import MOST_CONTENT
from commonplace.dialects.memsy.fields import Fields, mapping
from commonplace.dialects.memsy.refusal import refused
from commonplace.dialects.memsy.texts import MOST_NAME
from commonplace.model.scope import EVERYONE, audience_of, tagged
from commonplace.model.values import Json

LIMIT = 10
MOST_FOUND = 100

MOST_QUERY = MOST_CONTENT
"""Characters of a query. The API knows no limit; what can be told can be asked for."""

MOST_GROUPS = 1000
"""Roles, or teams, of a search. The API knows no limit."""

_SESSION = re.compile(rf"[A-Za-z0-9_\-:.@/]{{1,{MOST_NAME}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOrder:
    """A search as a caller asks for it.

    ``actor`` None is every actor. At most one of ``session`` and ``excluded_session`` is there; what has no session is
    found with either. What ``roles`` and ``teams`` mean depends on whether there is an actor.
    """

    query: str
    limit: int = LIMIT
    threshold: float = 0.0
    include_source_events: bool = False
    actor: str | None = None
    session: str | None = None
    excluded_session: str | None = None
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()

    @property
    def audience(self) -> tuple[str, ...]:
        """Whom memories may be for, of which any will do; none is everybody.

        With an actor: what is about the actor, and besides what is about the roles and teams, or about nobody. Without one
        the roles and teams narrow: to what carries any of them, and what is about nobody.
        """
        groups = [("role", role) for role in self.roles] + [("team", team) for team in self.teams]
        if self.actor is not None:
            return (audience_of("user", self.actor), *(audience_of(*group) for group in groups), EVERYONE)
        return (*(tagged(*group) for group in groups), EVERYONE) if groups else ()


def search_order(body: Json) -> SearchOrder:
    """POST /search."""
    fields = Fields(mapping(body))
    query = fields.required("query", MOST_QUERY)
    limit, threshold = fields.whole("limit", LIMIT, 1, MOST_FOUND), fields.number("threshold", 0.0)
    events = fields.flag("include_source_events")
    actor = fields.told("actor_id")
    session, excluded = _session(fields, "session_id"), _session(fields, "exclude_session_id")
    if session is not None and excluded is not None:
        raise refused("session_id", "and exclude_session_id must not be given together")
    return SearchOrder(
        query=query,
        limit=limit,
        threshold=threshold,
        include_source_events=events,
        actor=actor,
        session=session,
        excluded_session=excluded,
        roles=_groups(fields, "role_ids"),
        teams=_groups(fields, "team_ids"),
    )


def _session(fields: Fields, name: str) -> str | None:
    """A session that can be searched; an empty one is none. It is looked at before NUL is dropped: that would make it none."""
    session = fields.get(name)
    if session is None or session == "":
        return None
    if not isinstance(session, str) or not _SESSION.fullmatch(session):
        raise fields.refused(name, f"must be 1 to {MOST_NAME} of the characters A-Z, a-z, 0-9, _, -, :, ., @ and /")
    return session


def _groups(fields: Fields, name: str) -> tuple[str, ...]:
    """Each of the names once. A blank one is refused: without it a list could become empty, and find more."""
    names = fields.texts(name)
    if len(names) > MOST_GROUPS:
        raise fields.refused(name, f"must not be more than {MOST_GROUPS}")
    if not all(each.strip() for each in names):
        raise fields.refused(name, "must not have blank ones")
    return tuple(dict.fromkeys(names))
