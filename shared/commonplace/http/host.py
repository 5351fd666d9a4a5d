"""What the HTTP functions of a deployment have in common."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from commonplace.core.once import Once
from commonplace.http.shared_path import SharedPath
from commonplace.model.apikey import Principal
from commonplace.ports.world import Ids

Authenticate = Callable[[str], Awaitable[Principal]]
"""From a key to whom it belongs; raises ``Unauthenticated``."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where dialects are spoken. ``origins`` are the web origins whose pages may read the answers, each as a browser
    sends it (``https://example.com``); there is no word for all of them. ``shared`` tells dialects on one path apart.
    """

    authenticate: Authenticate
    once: Once
    ids: Ids
    origins: tuple[str, ...]
    shared: SharedPath
