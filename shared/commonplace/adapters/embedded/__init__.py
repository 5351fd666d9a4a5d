"""One machine: SQLite for rows, vectors, words and queues, and an ONNX embedder."""
