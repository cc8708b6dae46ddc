"""Limits of an architecture that comes from a file, before a network is built: a million blocks would fill memory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

import torch

from .lrformer import LRformerArchitecture

_LONGEST_TEXT = 10_000
_LIMITS = {
    **{"scale": (1, 8), "context": (0, 8), "levels": (1, 6), "channels": (1, 1024), "prior_channels": (1, 1024)},
    **{"groups": (1, 64), "blocks": (1, 64), "heads": (1, 64), "window": (4, 256), "fold": (1, 16)},
    **{"expansion": (1, 16), "foot_window": (0, 256)},
}
"""The lowest and the highest value of each number; the shipped networks lie far inside."""


def checked_architecture(text: str, tensors: Mapping[str, torch.Tensor]) -> LRformerArchitecture:
    """The architecture in a checkpoint's metadata, whose network has exactly these tensors.

    Raises:
        ValueError: not JSON, unknown fields, values of another type or out of their limits, or a network with other
            tensors. No memory is taken for that network.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("the architecture is too long")
    try:
        values = json.loads(text)
    except RecursionError as error:
        raise ValueError("the architecture is nested too deeply") from error
    if not isinstance(values, dict):
        raise ValueError("the architecture is no JSON object")
    defaults = {one.name: one.default for one in fields(LRformerArchitecture)}
    for name, value in values.items():
        if name not in defaults or type(value) is not type(defaults[name]):
            raise ValueError(f"the architecture has no {name} like this")
        if name in _LIMITS and not _LIMITS[name][0] <= value <= _LIMITS[name][1]:
            raise ValueError(f"the architecture's {name} is out of range")
    architecture = LRformerArchitecture(**values)
    # Every block has tensors of its own, so that a file of few cannot make many.
    if architecture.groups * architecture.blocks > len(tensors):
        raise ValueError("the architecture has more blocks than the file has tensors")
    with torch.device("meta"):
        wanted = {name: tensor.shape for name, tensor in architecture.build().state_dict().items()}
    if wanted != {name: tensor.shape for name, tensor in tensors.items()}:
        raise ValueError("the file's tensors are not those of its architecture")
    return architecture
