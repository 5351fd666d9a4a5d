import base64
import hashlib
import hmac

import pytest

from commonplace.core.signature import standard_headers

VECTOR = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
BODY = b'{"test": 2432232314}'


def test_the_headers_are_those_of_the_standards_own_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert standard_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, secret) == VECTOR


@pytest.mark.parametrize("secret", ["plain", "whsec_", "whsec_not base64!", "whsec_abc", "whsec_ü", "ü", ""])
def test_any_other_secret_signs_as_its_own_bytes(secret: str) -> None:
    key = b"" if secret == "whsec_" else secret.encode()
    expected = base64.b64encode(hmac.digest(key, b"id.1." + BODY, hashlib.sha256)).decode()
    assert standard_headers("id", 1, BODY, secret)["webhook-signature"] == f"v1,{expected}"


def test_each_part_of_what_is_signed_counts() -> None:
    signatures = {
        standard_headers(id, timestamp, body, secret)["webhook-signature"]
        for id, timestamp, body, secret in [
            ("a", 1, b"x", "s"),
            ("b", 1, b"x", "s"),
            ("a", 2, b"x", "s"),
            ("a", 1, b"y", "s"),
            ("a", 1, b"x", "t"),
        ]
    }
    assert len(signatures) == 5
