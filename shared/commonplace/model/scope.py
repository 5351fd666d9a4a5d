"""Where a memory belongs."""

from dataclasses import dataclass

DEFAULT_STORE = "default"
"""The store that always exists, and that every dialect without stores writes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The place of a memory inside its tenant. ``None`` says that a part is absent; an empty string is a value.

    ``agent`` is the id of a registered agent in the store that all dialects share, and its name in others. ``session`` is the id of a registered session or any other label that
    the caller gave; the other parts are the caller's own words, kept to the letter.
    """

    store: str = DEFAULT_STORE
    organization: str | None = None
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    project: str | None = None
    role: str | None = None
    team: str | None = None


LEVELS = ("user", "agent", "session", "global")
"""What a scope can be about, for callers who think of it as one of four things."""


def level(scope: Scope) -> str:
    """What a scope is about, where its writer did not say: the first of user, agent and session that it has."""
    return next((name for name in LEVELS[:3] if getattr(scope, name) is not None), "global")


SCOPE_PARTS: tuple[str, ...] = ("store", "organization", "user", "agent", "session", "project", "role", "team")
"""The names of the parts of a scope, in the order in which keys print them."""


EVERYONE = "everyone"
"""The audience of what is about nobody: neither a user nor a role nor a team."""


def audience_of(part: str, name: str) -> str:
    """The audience that is a user, a role or a team of this name: whom a memory is about, first of these."""
    return f"{part}:{name}"


def tagged(part: str, name: str) -> str:
    """The audience of what carries a role or a team of this name, be it about a user or not."""
    return f"tagged-{part}:{name}"


def audiences(scope: Scope) -> tuple[str, ...]:
    """All audiences that a memory of this scope has."""
    groups = [(part, name) for part in ("role", "team") if (name := getattr(scope, part)) is not None]
    if scope.user is not None:
        whom = [audience_of("user", scope.user)]
    else:
        whom = [audience_of(part, name) for part, name in groups] or [EVERYONE]
    return (*whom, *(tagged(part, name) for part, name in groups))
