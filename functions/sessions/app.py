"""Sessions."""

from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, Spoken, application
from commonplace.wiring import Services
from sessions import relay


def build(services: Services) -> Application:
    """The application of this function."""
    spoken = [Spoken(Relay(), relay.operations(services))]
    return application(spoken, services.host)
