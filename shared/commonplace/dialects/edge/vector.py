"""Embeddings as callers bring them."""

import math

from commonplace.model.errors import Invalid
from commonplace.model.values import Json


def vector(value: Json, name: str, most: int) -> tuple[float, ...]:
    """A vector of 1 to ``most`` numbers that are not all zero, as given. Raises ``Invalid`` that speaks of ``name``."""
    if not isinstance(value, list):
        raise _refused(name)
    numbers = tuple(_number(each, name) for each in value)
    if not numbers:
        raise Invalid(f"{name} must not be empty")
    if len(numbers) > most:
        raise Invalid(f"{name} must have at most {most} dimensions")
    if not any(numbers):
        raise Invalid(f"{name} must not be all zeros")
    return numbers


def _number(value: Json, name: str) -> float:
    # A bool is an int in Python. That an int fits into a double has been seen to where the body was read.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _refused(name)
    return float(value)


def _refused(name: str) -> Invalid:
    return Invalid(f"{name} must be an array of numbers")
