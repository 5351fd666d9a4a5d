"""English words that say nothing of what a question is about."""

STOPWORDS = frozenset(
    """
    a about all also am an and any are as at be been being but by can could d did do does doing don for from get got
    has have having he her hers him his how i if in into is it its just ll m me my no nor not of on or our ours out own
    re s shall she should so some such t than that the their theirs them then there these they this those to too up us
    ve very was we were what when where which while who whom whose why will with would you your yours
    """.split()  # noqa: SIM905 - a list of so many words is read as text
)
"""Dropped from a query unless it has nothing else. In lower case; ``s``, ``t``, ``ll`` are what is left of it's, don't
and we'll."""
