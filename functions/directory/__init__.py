"""Orgs, roles and teams."""
