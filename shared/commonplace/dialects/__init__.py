"""The public APIs: how a request becomes core values, and how core values become its response. No I/O."""
