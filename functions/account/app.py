"""Agents, keys, webhooks, health, and whatever no other function serves."""

from account import edge, memsy, relay
from commonplace.dialects.cognipeer.errors import Cognipeer
from commonplace.dialects.edge.errors import Edge
from commonplace.dialects.memsy.errors import Memsy
from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, Spoken, application
from commonplace.wiring import Services


def build(services: Services) -> Application:
    """The application of this function."""
    spoken = [
        Spoken(Relay(), relay.operations(services)),
        Spoken(Cognipeer(), []),
        Spoken(Edge(services.stranger), edge.operations(services)),
        Spoken(Memsy(), memsy.operations(services), services.metered.headers),
    ]
    return application(spoken, services.host)
