"""The memo.st Memories API, whose callers bring their own embeddings."""
