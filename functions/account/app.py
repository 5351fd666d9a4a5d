"""Agents, keys, webhooks, health, and whatever no other function serves."""

from account import relay
from commonplace.dialects.relay.errors import Relay
from commonplace.http.endpoint import Application, application
from commonplace.wiring import Services


def build(services: Services) -> Application:
    """The application of this function."""
    return application(relay.operations(services), Relay(), services.admit, services.once, services.ids)
