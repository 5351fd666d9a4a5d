"""What the errors of Amazon Bedrock mean, whichever of its models was called."""

from typing import Final

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, IncompleteReadError
from botocore.parsers import ResponseParserError

from commonplace.adapters.hosted import Refused
from commonplace.model.errors import Unavailable

UNREADABLE: Final = (ResponseParserError, UnicodeDecodeError, AttributeError)
"""What botocore's parser raises for a body that is no text or no JSON object. They may quote it."""

FAILURES: Final = (BotoCoreError, ClientError, aiohttp.ClientError, *UNREADABLE)
"""All that a call of a client can raise. A body that breaks off is the transport's."""

QUOTA_SECONDS: Final = 30
"""When to come back if the quota is used up, which is one for each minute."""

MEND_SECONDS: Final = 60
"""When to come back if somebody has to change something first."""

MOST_SAID: Final = 200
"""Characters of Bedrock's own words in an error."""

_OVERLOADED = {408, 424, 429}
"""ModelTimeoutException, ModelErrorException, ThrottlingException and ModelNotReadyException."""

_THROTTLED = {"ThrottlingException", "ThrottledException", "RequestThrottled", "TooManyRequestsException"}


def passes(error: Exception) -> bool:
    """Whether the same call may succeed a little later."""
    if not isinstance(error, ClientError):
        return isinstance(error, HTTPClientError | IncompleteReadError | aiohttp.ClientError)
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status in _OVERLOADED or status >= 500 or error.response["Error"]["Code"] in _THROTTLED  # noqa: PLR2004 - HTTP's own limit


def translated(error: Exception, model: str) -> Exception:
    """``Refused`` if Bedrock would not take what it was given, with its own words; else ``Unavailable``."""
    if not isinstance(error, ClientError):
        said = "gave an answer that cannot be read" if isinstance(error, UNREADABLE) else "cannot be reached"
        return Unavailable(f"{model} {said} on Amazon Bedrock ({type(error).__name__})")
    code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    if code == "ValidationException":
        return Refused(error.response["Error"].get("Message", "")[:MOST_SAID])
    if status in {401, 403}:
        return Unavailable(
            f"Amazon Bedrock does not allow the use of {model} ({code}): "
            "the role needs bedrock:InvokeModel, and the account needs access to the model in this region",
            MEND_SECONDS,
        )
    if status == 404:  # noqa: PLR2004 - HTTP's own number
        return Unavailable(f"Amazon Bedrock has no {model} in this region", MEND_SECONDS)
    if code in _THROTTLED or code == "ServiceQuotaExceededException":
        return Unavailable(f"The quota for {model} on Amazon Bedrock is used up", QUOTA_SECONDS)
    return Unavailable(f"{model} cannot be used on Amazon Bedrock now ({code})")
