import json
from pathlib import Path

import pytest

from commonplace.dialects.cognipeer.slug import slug, store_key

CASES: list[tuple[str, str]] = json.loads((Path(__file__).parents[1] / "data" / "slugs.json").read_text())
"""Names, and what npm's slugify 1.6.6 makes of them with ``{lower: true, strict: true, trim: true}``."""

EXAMPLES = [
    ("Agent Working Memory", "mem-agent-working-memory"),
    ("  Spaces  around ", "mem-spaces-around"),
    ("my_store", "mem-mystore"),
    ("my-store", "mem-my-store"),
    ("-a-", "mem-a"),
    ("A & B", "mem-a-and-b"),
    ("C++ notes", "mem-c-notes"),
    ("100% sure", "mem-100percent-sure"),
    ("Price $5", "mem-price-dollar5"),
    ("it's", "mem-its"),
    ("<tag>", "mem-lesstaggreater"),
    ("foo@bar.com", "mem-foobarcom"),
    ("Hello, World!", "mem-hello-world"),
    ("Straße", "mem-strasse"),
    ("æ", "mem-ae"),
    ("Müşteri Hafızası", "mem-musteri-hafizasi"),
    ("naïve café", "mem-naive-cafe"),
    ("Привет мир", "mem-privet-mir"),
    ("Việt Nam", "mem-viet-nam"),
    ("α β", "mem-a-b"),
    ("١٢٣", "mem-123"),
    ("a – b", "mem-a-b"),
    ("Ø", "mem-o"),
    ("emoji 😀 ok", "mem-emoji-ok"),
    ("日本語", "mem-1767323045678"),
    ("---", "mem-1767323045678"),
]


@pytest.mark.parametrize(("name", "key"), EXAMPLES)
def test_a_store_key_is_made_of_the_name_or_of_the_time(name: str, key: str) -> None:
    assert store_key(name, 1767323045678) == key


def test_names_are_spelt_as_the_vendors_library_spells_them() -> None:
    assert len(CASES) > 1000
    assert [(name, slug(name)) for name, expected in CASES if slug(name) != expected] == []


def test_a_long_name_is_not_cut() -> None:
    assert store_key("word " * 100, 0) == "mem-" + "-".join(["word"] * 100)
