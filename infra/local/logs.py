"""Logs for a person at a terminal; on Lambda the same records are JSON."""

import logging

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Lines(logging.Formatter):
    """One line for each record: level, logger, message, and what else the record carries as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """The line without a traceback."""
        carried = [f"{name}={value!r}" for name, value in vars(record).items() if name not in _USUAL]
        return " ".join([super().formatMessage(record), *carried])


def start() -> None:
    """Writes warnings and worse to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Lines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    # urllib3 would log the URLs of webhooks, which may hold secrets.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
