"""Signing webhooks by Standard Webhooks 1.0.0 (https://www.standardwebhooks.com)."""

import base64
import binascii
import hashlib
import hmac

PREFIX = "whsec_"


def standard_headers(id: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The three headers: ``webhook-id``, ``webhook-timestamp`` (epoch seconds of this attempt), ``webhook-signature``.

    The signature is ``v1,`` and the base64 HMAC-SHA256 of ``id.timestamp.body``.
    """
    signed = b".".join([id.encode(), str(timestamp).encode(), body])
    digest = base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{digest}"}


def _key(secret: str) -> bytes:
    """A secret in the standard's own form is base64 after its prefix; any other is taken as its UTF-8 bytes."""
    if secret.startswith(PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            pass
    return secret.encode()
