"""Embedding and webhook delivery, from the queues."""
