"""Why an engine cannot be had. The texts are for the user."""


class EngineError(Exception):
    """It cannot be had."""


class NoJava(EngineError):
    """There is no Java that it runs on."""


class NotAssembled(EngineError):
    """It could not be fetched or put together."""


class NotStarted(EngineError):
    """It ended by itself, or did not answer in time."""
