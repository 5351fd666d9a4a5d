"""What the core needs from the world, as protocols. Each has one contract suite in ``tests/contract``."""
