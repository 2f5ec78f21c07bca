"""Loss, and why accuracy is no objective: the numbers of docs/lessons/en/2_loss.md.

Run from the repository root.
"""

import numpy as np

import thalweg as tw
from thalweg.nn.losses import loss

told = tw.explain("J = (t - w*x)^2")(t=1.0, w=0.2, x=2.0)
print(round(float(told.step("∂J/∂w").value), 12))
print(told.sections[2].notes[1].say("en"))

Y, T = np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([[1.0, 0.0], [0.0, 1.0]])
print(round(float(loss("mse")(Y, T)), 6), round(float(loss("cross_entropy")(Y, T)), 6))
x, target = np.array([-2.0, -1.0, 0.5, 3.0]), np.array([0.0, 1.0, 1.0, 1.0])


def accuracy(w):
    return tw.numpy.mean(tw.numpy.where((w * x > 0) == (target > 0.5), 1.0, 0.0))


print(float(accuracy(1.0)), float(accuracy(1.0001)))
print(float(tw.grad(accuracy)(1.0)))


def smooth(w):
    return loss("binary_cross_entropy")(tw.numpy.sigmoid(w * x), target)


print(round(float(tw.grad(smooth)(1.0)), 6))
