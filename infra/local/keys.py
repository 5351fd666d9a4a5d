"""The first API key of a machine."""

import contextlib
from dataclasses import dataclass

from commonplace.core.admit import Admit, KeyOrder
from commonplace.model.apikey import PREFIX_LENGTH, Permission
from commonplace.model.errors import Conflict
from commonplace.rows.apikeys import Secrets

TENANT = "default"
"""The tenant that a machine's own keys belong to."""


@dataclass(frozen=True, slots=True)
class FirstKey:
    """The key that opens this machine: whole where it may be shown, and its first letters."""

    token: str | None
    prefix: str


async def bootstrap(admit: Admit, secrets: Secrets, fresh: str, given: str | None) -> FirstKey:
    """Accepts the key that is given, or else on the first start the ``fresh`` one. It may do everything."""
    order = KeyOrder(tenant=TENANT, environment="local", permissions=tuple(Permission), name="bootstrap")
    known = None if given else await secrets.find("bootstrap")
    if known is not None:
        return FirstKey(None, known)
    token = given or fresh
    with contextlib.suppress(Conflict):
        await admit.accept(token, order)
    if not given:
        await secrets.get("bootstrap", token[:PREFIX_LENGTH])
    return FirstKey(token, token[:PREFIX_LENGTH])
