"""Secrets that somebody else put into AWS Secrets Manager."""

from collections.abc import Awaitable, Callable
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from commonplace.model.errors import Unavailable


def client_config() -> Config:
    """The configuration for the client: bounded in time."""
    return Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})


async def read(connect: Callable[[], Awaitable[Any]], name: str) -> str:
    """The text of the secret with this name or ARN. Raises ``Unavailable``, and never says what the secret is."""
    try:
        answer = await (await connect()).get_secret_value(SecretId=name)
    except (BotoCoreError, ClientError) as error:
        raise Unavailable(f"The secret {name} cannot be read: see the function's permissions") from error
    text: str | None = answer.get("SecretString")
    if not text:
        raise Unavailable(f"The secret {name} holds no text")
    return text.strip()
