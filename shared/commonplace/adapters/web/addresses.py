"""Which addresses lie on the open internet.

``is_global`` alone is no policy: what it says of transition networks, multicast and late assignments differs from one
Python version to the next. So what a stranger may not reach is also listed here.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

_DENIED_4 = (
    IPv4Network("192.0.0.0/24"),  # protocol assignments: DS-Lite, NAT64 discovery
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
)
_DENIED_6 = (
    IPv6Network("::/96"),  # loopback, unspecified, and IPv4-compatible: an IPv4 address in disguise
    IPv6Network("64:ff9b::/96"),  # NAT64: the same
    IPv6Network("64:ff9b:1::/48"),  # NAT64 inside a network
    IPv6Network("2001::/32"),  # Teredo: the same
    IPv6Network("2002::/16"),  # 6to4: the same
    IPv6Network("3fff::/20"),  # documentation
    IPv6Network("5f00::/16"),  # segment routing inside a network
    IPv6Network("fec0::/10"),  # site-local
)


def public(address: IPv4Address | IPv6Address) -> bool:
    """Whether a stranger may have us connect there: one host on the open internet, on no road back into a network.

    An IPv4-mapped address is judged as the IPv4 address within it; one with a scope id is never public.
    """
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address.ipv4_mapped is not None:
            return public(address.ipv4_mapped)
        denied = any(address in network for network in _DENIED_6)
    else:
        denied = any(address in network for network in _DENIED_4)
    return address.is_global and not (denied or address.is_multicast or address.is_reserved)
