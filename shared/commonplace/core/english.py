"""English words that say little about what a text is about."""

STOPWORDS = frozenset(
    """
    a about above after again against all also am an and any are aren as at be because been before being below between
    both but by can cannot could couldn d did didn do does doesn doing don down during each few for from further had
    hadn has hasn have haven having he her here hers herself him himself his how i if in into is isn it its itself
    just ll m me might more most must my myself no nor not now of off on once only or other our ours ourselves out
    over own re s same shall shan she should shouldn so some such t than that the their theirs them themselves then there
    these they this those through to too under until up upon us ve very was wasn we were weren what when where which
    while who whom whose why will with won would wouldn you your yours yourself yourselves
    """.split()  # noqa: SIM905 - a list of so many words is read as text
)
"""Words that carry grammar only."""

GENERIC = frozenset(
    """
    again agent also always answer ask asked assistant back big call called came come day days detail early end even
    ever everybody everyone family feel felt find first found gave get gets getting give go goes going gone good got
    great info information keep kind know known knows last late later let like liked likes live lives long look
    looking lot made make makes making many memory month much name need needed needs new next nice night note now old
    one people per person please prefer preference preferred prefers put really remember right run running runs said
    say says see seen set sets short somebody someone sort start started still stop stuff take takes tell tells thing
    things think thinks thought three time times today told took try two type use used user users uses using usually
    want wanted wants way week weeks well went work working works year years
    """.split()  # noqa: SIM905 - a list of so many words is read as text
)
"""Words that stand in memories of every topic, so that sharing one proves little."""
