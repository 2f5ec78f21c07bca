"""thalweg: train neural networks by the chain rule, and see every derivative that was used."""

__version__ = "0.1.0"
