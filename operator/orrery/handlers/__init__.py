"""kopf: when to look, never what to do."""
