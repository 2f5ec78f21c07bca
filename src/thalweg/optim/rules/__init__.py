"""First-order methods: how a parameter moves, given its gradient.

A rule is a frozen dataclass of hyperparameters with an `init` and a pure `update`, written once in
traced arrays: the same lines run in the interpreter, are compiled into the training loop, and
can be explained. `RULES` lists them by name.

Examples
--------
>>> import numpy as np
>>> rule = RULES["momentum"](learning_rate=0.1)
>>> x = np.array([1.0, -2.0])
>>> state = rule.init(x)
>>> for step in range(1, 3):
...     x, state = rule.update(x, 2.0 * x, state, float(step))
>>> x
array([ 0.46, -0.92])
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from thalweg.optim.rules.adagrad import AdaGrad
from thalweg.optim.rules.adam import Adam
from thalweg.optim.rules.adamax import Adamax
from thalweg.optim.rules.adamw import AdamW
from thalweg.optim.rules.amsgrad import AMSGrad
from thalweg.optim.rules.conditioning import Conditioning
from thalweg.optim.rules.gd import GD
from thalweg.optim.rules.lion import Lion
from thalweg.optim.rules.momentum import Momentum
from thalweg.optim.rules.nadam import NAdam
from thalweg.optim.rules.nesterov import Nesterov
from thalweg.optim.rules.rmsprop import RMSProp
from thalweg.optim.rules.rprop import RProp
from thalweg.optim.rules.rule import Rule, State
from thalweg.optim.rules.sgd import SGD

__all__ = [
    "GD",
    "RULES",
    "SGD",
    "AMSGrad",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Conditioning",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "RMSProp",
    "RProp",
    "Rule",
    "State",
]

RULES: Mapping[str, type[Rule]] = MappingProxyType(
    {
        "gd": GD,
        "sgd": SGD,
        "momentum": Momentum,
        "nesterov": Nesterov,
        "adagrad": AdaGrad,
        "rmsprop": RMSProp,
        "adam": Adam,
        "adamw": AdamW,
        "amsgrad": AMSGrad,
        "adamax": Adamax,
        "nadam": NAdam,
        "lion": Lion,
        "rprop": RProp,
    }
)
"""All first-order rules by name."""
