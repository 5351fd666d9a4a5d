"""What API Gateway does: from a method and a path to the function that serves it."""

import importlib
import re
from collections.abc import Mapping

from starlette.types import ASGIApp, Receive, Scope, Send

from commonplace.http.endpoint import normalised
from commonplace.wiring import Services
from template import Template

DEFAULT = "$default"


class Gateway:
    """An ASGI application that hands each request to the application of its function.

    As with API Gateway a path without variables wins over one with them, a route for GET is none for HEAD, and what has no
    route goes to ``$default``.
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        await self._application(scope["method"], normalised(scope["path"]))(scope, receive, send)

    def _application(self, method: str, path: str) -> ASGIApp:
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        matching = (
            application for each, pattern, application in self._patterns if each == method and pattern.fullmatch(path)
        )
        return next(matching, self._default)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", path)))


def applications(template: Template, services: Services) -> dict[str, ASGIApp]:
    """The application of each function that serves HTTP, over the same services."""
    return {name: importlib.import_module(f"{name}.app").build(services) for name in template.functions}
