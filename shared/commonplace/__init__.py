"""Commonplace: a memory service for AI agents that speaks published memory APIs over one memory model."""

__version__ = "0.1.0"
