"""Agents, keys, webhooks, health, and whatever no other function serves."""
