"""Orgs, roles and teams."""

from commonplace.dialects.memsy.errors import Memsy
from commonplace.http.endpoint import Application, Spoken, application
from commonplace.wiring import Services
from directory import memsy


def build(services: Services) -> Application:
    """The application of this function."""
    return application([Spoken(Memsy(), memsy.operations(services), services.metered.headers)], services.host)
