"""The layers a network is made of, and how they are read from a model file."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thalweg.errors import ModelFileError
from thalweg.nn.layers.dense import Dense

__all__ = ["LAYERS", "Dense", "layer_from_json"]

LAYERS: Mapping[str, type[Dense]] = MappingProxyType({"dense": Dense})
"""The layers by the name that model files use."""


def layer_from_json(data: object) -> Dense:
    """Read the record of a layer.

    Raises
    ------
    ModelFileError
        If it is no record of a known layer.
    """
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str) or kind not in LAYERS or not isinstance(data, dict):
        raise ModelFileError(
            "network: layer kind {kind!r} is not one of {names}.",
            kind=kind,
            names=", ".join(LAYERS),
        )
    return LAYERS[kind].from_json(data)
