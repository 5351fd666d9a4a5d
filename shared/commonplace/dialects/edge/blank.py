"""What ECMAScript takes for white space: this API was first spoken in JavaScript."""

SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f"
    "\u3000\ufeff"
)
"""White space and line ends (ECMA-262, sections 12.2 and 12.3). Python's own set has U+001C to U+001F and U+0085 as well,
and not U+FEFF."""


def blank(text: str) -> bool:
    """Whether a text says nothing."""
    return not text.strip(SPACE)
