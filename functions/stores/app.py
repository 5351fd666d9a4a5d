"""Making, reading, changing and deleting stores."""

from commonplace.dialects.cognipeer.errors import Cognipeer
from commonplace.http.endpoint import Application, Spoken, application
from commonplace.wiring import Services
from stores import cognipeer


def build(services: Services) -> Application:
    """The application of this function."""
    spoken = [Spoken(Cognipeer(), cognipeer.operations(services))]
    return application(spoken, services.host)
