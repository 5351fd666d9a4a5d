"""Cognipeer's memory API."""
