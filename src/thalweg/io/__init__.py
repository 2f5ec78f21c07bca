"""Files: the container in which models are kept. Knows plain data, not models."""
