"""Which program a task gets."""

from dataclasses import replace

import numpy as np

import thalweg as tw
from thalweg.nn.losses import loss
from thalweg.nn.objective import NetworkObjective, Penalty
from thalweg.optim.rules import GD, Adam
from thalweg.training.batches import Samples
from thalweg.training.engines import make_program
from thalweg.training.loop import Task
from thalweg.training.options import Training


def test_tasks_that_differ_in_data_alone_share_native_code():
    def task(rows):
        network = tw.Network([tw.Dense(2, 3, "tanh"), tw.Dense(3, 1)])
        samples = Samples(np.ones((rows, 2)), np.ones((rows, 1)), np.ones(rows))
        objective = NetworkObjective(network, loss("mse"))
        return Task(objective, network.initial(rows), samples, None, Training(), GD())

    program, engine = make_program(task(5))
    assert engine == "native" and make_program(task(7))[0] is program
    price = NetworkObjective(task(5).objective.network, loss("mse"), Penalty(l2=0.1))
    for other in ({"rule": Adam()}, {"dtype": np.dtype(np.float32)}, {"objective": price}):
        assert make_program(replace(task(5), **other))[0] is not program
    assert make_program(replace(task(5), engine="numpy"))[1] == "numpy"
