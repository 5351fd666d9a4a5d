"""The ports on real engines. An adapter sees ``ports`` and ``model`` only."""
