"""What API Gateway does: from a method and a path to the function that serves it."""

import importlib
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from commonplace.http.path import matched
from commonplace.wiring import Services
from template import Template

DEFAULT = "$default"
REST = r"[\s\S]+"
"""The rest of a path, in a pattern."""


class Gateway:
    """An ASGI application that hands each request to the application of its function.

    As with API Gateway a path without variables wins over one with them, and that over one whose last variable takes the
    rest of the path (``{name+}``); ANY is every method that has no route of its own there; a route for GET is none for HEAD,
    and what has no route goes to ``$default``.
    """

    def __init__(self, template: Template, applications: Mapping[str, ASGIApp]) -> None:
        self._exact: dict[tuple[str, str], ASGIApp] = {}
        self._patterns: list[tuple[str, re.Pattern[str], ASGIApp]] = []
        for route in template.routes:
            application = applications[route.function]
            if route.path == DEFAULT:
                self._default = application
            elif "{" in route.path:
                self._patterns.append((route.method, _pattern(route.path), application))
            else:
                self._exact[route.method, route.path] = application
        self._patterns.sort(key=lambda each: (REST in each[1].pattern, each[0] == "ANY"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        await self._application(scope["method"], matched(scope))(scope, receive, send)

    def _application(self, method: str, path: str) -> ASGIApp:
        exact = self._exact.get((method, path)) or self._exact.get(("ANY", path))
        if exact is not None:
            return exact
        matching = (
            application
            for each, pattern, application in self._patterns
            if each in (method, "ANY") and pattern.fullmatch(path)
        )
        return next(matching, self._default)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"\{[^}]*?(\+?)\}", path)
    kinds = ("[^/]+", REST)
    return re.compile(
        "".join(kinds[part == "+"] if number % 2 else re.escape(part) for number, part in enumerate(parts))
    )


def applications(template: Template, services: Services) -> dict[str, ASGIApp]:
    """The application of each function that serves HTTP, over the same services."""
    return {name: importlib.import_module(f"{name}.app").build(services) for name in template.functions}
