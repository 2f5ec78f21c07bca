"""A network that solves Poisson's equation: -Δu = 2π² sin πx sin πy on the unit square.

    python examples/physics.py [seeds]

u is a 2-32-1 tanh network; its exact second derivatives stand in the residual, and
Levenberg-Marquardt lowers the residual at 900 points inside and 240 on the edge, where u = 0.
Printed is the error against the true solution sin πx sin πy on a grid of 101 × 101 points.
"""

import sys
import time

import numpy as np

import thalweg as tw
import thalweg.numpy as tnp

NETWORK = tw.Network([tw.Dense(2, 32, "tanh"), tw.Dense(32, 1)])
EDGE_WEIGHT = 10.0


def grid(ticks):
    """All pairs of ticks, one a row."""
    return np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)


def edge_points(count):
    """Points on the four sides of the unit square."""
    s = np.linspace(0.0, 1.0, count)
    sides = [(s, 0 * s), (s, 0 * s + 1), (0 * s, s), (0 * s + 1, s)]
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def truth(points):
    """The solution."""
    return np.sin(np.pi * points[:, 0]) * np.sin(np.pi * points[:, 1])


INSIDE, EDGE = grid((np.arange(30) + 0.5) / 30), edge_points(60)
SOURCE = 2.0 * np.pi**2 * truth(INSIDE)


def u(params, point):
    """The network's value at one point."""
    return NETWORK(params, point)[0]


def laplacian(params, point):
    """∂²u/∂x² + ∂²u/∂y², exactly: forward mode twice along each axis."""

    def second(direction):
        def slope(at):
            return tw.jvp(lambda z: u(params, z), (at,), (direction,))[1]

        return tw.jvp(slope, (point,), (direction,))[1]

    return second(np.array([1.0, 0.0])) + second(np.array([0.0, 1.0]))


def residual(params):
    """What should be zero inside and on the edge, as mean squares."""
    inside = tw.vmap(laplacian, in_axes=(None, 0))(params, INSIDE) + SOURCE
    edge = tw.vmap(u, in_axes=(None, 0))(params, EDGE)
    return tnp.concatenate([inside / len(INSIDE) ** 0.5, EDGE_WEIGHT * edge / len(EDGE) ** 0.5])


def main(seeds):
    fine = grid(np.linspace(0.0, 1.0, 101))
    exact = truth(fine)
    for seed in range(seeds):
        began = time.perf_counter()
        result = tw.least_squares(
            residual, NETWORK.initial(seed), max_iterations=2000, max_time=60.0
        )
        seconds = time.perf_counter() - began
        found = NETWORK(result.x, fine)[:, 0]
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        print(
            f"seed {seed}: relative L2 error {error:.1e} after {result.nit} steps, {seconds:.0f} s"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
