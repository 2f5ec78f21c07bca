"""From a table to a trained network: reading, splitting, encoding, the training loop."""
