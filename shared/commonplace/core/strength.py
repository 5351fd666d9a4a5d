"""How strong a memory is: it gains with each recall and fades without."""

from datetime import datetime

from commonplace.model.memory import Accesses, Memory

START = 1.0
GAIN = 0.1
MOST = 5.0
HALF_LIFE_DAYS = 30.0
"""After how many days without a recall half of the strength is left."""

SECONDS_A_DAY = 86_400


def strength(memory: Memory, accesses: Accesses, now: datetime) -> float:
    """The strength in [0,5]: 1.0 and 0.1 for each recall, at most 5.0, halved every ``HALF_LIFE_DAYS`` since the memory was
    last recalled, or else since what it tells happened. Nothing has to be written for it to fade."""
    since = max(accesses.last_at or memory.occurred_at, memory.occurred_at)
    days = max(0.0, (now - since).total_seconds() / SECONDS_A_DAY)
    return float(min(MOST, START + GAIN * accesses.count) * 0.5 ** (days / HALF_LIFE_DAYS))
