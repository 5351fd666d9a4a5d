"""Building contexts."""
