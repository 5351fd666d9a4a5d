"""Memsy's memory API: events in, searchable memories out."""
