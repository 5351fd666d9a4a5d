"""The nouns: frozen dataclasses and value objects. They import nothing of the rest of the house."""
