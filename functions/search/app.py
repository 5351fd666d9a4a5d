"""Finding memories."""

from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, application
from commonplace.wiring import Services
from search import relay


def build(services: Services) -> Application:
    """The application of this function."""
    return application(relay.operations(services), Relay(), services.admit, services.once, services.ids)
