"""How MemoryRelay's webhooks look: their body and their headers."""

import hashlib
import hmac
import json

from commonplace.dialects.relay.responses import iso
from commonplace.model.webhook import Delivery, Event


def body(event: Event) -> str:
    """The body of an event, with the fields of Standard Webhooks (``type``, ``timestamp``) beside the API's own."""
    at = iso(event.at)
    return json.dumps(
        {
            "id": event.id,
            "event": event.type.value,
            "type": event.type.value,
            "created_at": at,
            "timestamp": at,
            "data": {"memory_id": event.memory, "agent_id": event.agent, "status": event.state},
        },
        separators=(",", ":"),
    )


def headers(delivery: Delivery, body: bytes, secret: str) -> dict[str, str]:
    """The API's own headers: the HMAC-SHA256 of the raw body, the event, the delivery."""
    return {
        "x-memoryrelay-signature": f"sha256={hmac.digest(secret.encode(), body, hashlib.sha256).hex()}",
        "x-memoryrelay-event": delivery.event.value,
        "x-memoryrelay-delivery": delivery.id,
    }
