"""Finding memories."""

from commonplace.dialects.cognipeer.errors import Cognipeer
from commonplace.dialects.edge.errors import Edge
from commonplace.dialects.memsy.errors import Memsy
from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, Spoken, application
from commonplace.wiring import Services
from search import cognipeer, edge, memsy, relay


def build(services: Services) -> Application:
    """The application of this function."""
    spoken = [
        Spoken(Relay(), relay.operations(services)),
        Spoken(Cognipeer(), cognipeer.operations(services)),
        Spoken(Edge(services.stranger), edge.operations(services)),
        Spoken(Memsy(), memsy.operations(services), services.metered.headers),
    ]
    return application(spoken, services.host)
