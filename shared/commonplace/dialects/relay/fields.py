"""The kinds of fields that MemoryRelay's bodies are made of, with their limits and the words in which they are refused."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from commonplace.model.errors import Invalid, Problem
from commonplace.model.values import Json, deeper

MOST_METADATA = 10 * 1024
"""Bytes of a metadata object as compact UTF-8 JSON."""

MOST_DEPTH = 64
"""Levels of nesting in metadata."""

MOST_CONTENT = 50_000
MOST_QUERY = 5_000
MOST_NAME = 255


class Body(BaseModel):
    """A request body. Fields that the API does not know are ignored; an explicit null is the same as no field."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


def _told(text: str, what: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", f"{what} cannot be empty or whitespace")
    return text


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if deeper(value, MOST_DEPTH):
        raise PydanticCustomError("metadata_depth", f"Metadata cannot be nested deeper than {MOST_DEPTH} levels")
    try:
        size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())
    except ValueError as error:
        raise PydanticCustomError("metadata_text", "Metadata must be valid Unicode") from error
    if size > MOST_METADATA:
        raise PydanticCustomError("metadata_size", f"Metadata cannot be larger than {MOST_METADATA} bytes")
    return value


def encodable(text: str) -> bool:
    """Whether this is text that can be stored and sent: half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


TierName = Literal["hot", "warm", "cold"]
Text = Annotated[str, StringConstraints(max_length=MOST_NAME)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MOST_NAME), AfterValidator(lambda t: _told(t, "Name"))]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=MOST_NAME)]
Content = Annotated[
    str, StringConstraints(max_length=MOST_CONTENT), AfterValidator(lambda text: _told(text, "Content"))
]
Query = Annotated[str, StringConstraints(max_length=MOST_QUERY), AfterValidator(lambda text: _told(text, "Query"))]
Metadata = Annotated[dict[str, Any], AfterValidator(_metadata)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]


BodyT = TypeVar("BodyT", bound=Body)


def decoded(model: type[BodyT], body: Json) -> BodyT:
    """The body as the model. Raises ``Invalid`` that names every field that is wrong."""
    present = {key: value for key, value in body.items() if value is not None} if isinstance(body, dict) else body
    try:
        return model.model_validate(present)
    except ValidationError as error:
        raise refused(error) from error


def refused(error: ValidationError) -> Invalid:
    """What pydantic found, in this API's words."""
    problems = tuple(
        Problem(".".join(str(part) for part in each["loc"]) or "body", _said(each["msg"], each["type"]))
        for each in error.errors(include_url=False, include_context=False, include_input=False)
    )
    return Invalid(f"{problems[0].field}: {problems[0].message}", problems)


def _said(message: str, kind: str) -> str:
    known: Mapping[str, str] = {
        "missing": "Field required",
        "string_unicode": "Must be valid Unicode",
        "model_type": "The request body must be a JSON object",
        "model_attributes_type": "The request body must be a JSON object",
    }
    return known.get(kind, message)
