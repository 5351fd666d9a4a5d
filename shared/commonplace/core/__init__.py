"""The verbs: every decision lives here, and nothing here knows an engine, a framework or a public API."""
