"""What is said of a value that cannot be taken."""

from commonplace.model.errors import Invalid, Problem


def refused(field: str, message: str) -> Invalid:
    """One problem with one field, said as a sentence that begins with its name. What was given is never said again."""
    return Invalid(f"{field} {message}", (Problem(field, message),))
