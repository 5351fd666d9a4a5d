"""MemoryRelay's API."""
