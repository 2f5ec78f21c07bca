"""Products with δ and activations against the Jacobian of the network itself."""

import numpy as np
import pytest

import thalweg as tw
from thalweg.nn.losses import loss
from thalweg.nn.network import Dense, Network
from thalweg.nn.objective import NetworkObjective
from thalweg.training.batches import Samples
from thalweg.training.sensitivities import Places, even_block, sensitivities

RNG = np.random.default_rng(2)
X, T = RNG.normal(size=(23, 3)), RNG.normal(size=(23, 2))
WEIGHTS = RNG.uniform(0.0, 2.0, 23)
NETWORKS = {
    "deep": Network([Dense(3, 4, "tanh"), Dense(4, 5, "sigmoid"), Dense(5, 2)]),
    "no biases": Network([Dense(3, 4, "tanh", bias=False), Dense(4, 2, bias=False)]),
    "one layer": Network([Dense(3, 2, "tanh")]),
    "linear": Network([Dense(3, 4), Dense(4, 2)]),
}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_products_are_those_of_the_jacobian(name, native):
    network = NETWORKS[name]
    places = Places(network)
    theta = RNG.normal(size=network.count)

    def outputs(theta):
        leaves = iter(_leaves(network, theta))
        params = [{name: next(leaves) for name in layer.shapes} for layer in network.layers]
        return network(params, X)

    J = tw.jacobian(outputs)(theta)
    v, u = RNG.normal(size=network.count), RNG.normal(size=T.shape)
    objective = NetworkObjective(network, loss("mse"))
    blocks, read = sensitivities(objective, Samples(X, T, WEIGHTS), 8, native)
    parts = list(blocks.map(theta, read))
    assert len(parts) > 2
    rows = np.concatenate([p.rows() for p in parts])[: len(X)]
    np.testing.assert_allclose(rows, J, rtol=1e-12, atol=1e-14)
    along = np.concatenate([p.product(places.matrices(v)) for p in parts])[: len(X)]
    np.testing.assert_allclose(along, J @ v, rtol=1e-11, atol=1e-13)
    padded = np.concatenate([u, np.zeros((blocks.block * len(parts) - len(X), 2))])
    back = sum(
        places.vector(p.transposed(part))
        for p, part in zip(parts, np.split(padded, len(parts)), strict=True)
    )
    np.testing.assert_allclose(back, np.einsum("no,nop->p", u, J), rtol=1e-11, atol=1e-13)
    diagonal = sum(places.vector(p.diagonal()) for p in parts)
    expected = 2.0 * np.einsum("n,nop->p", WEIGHTS, J**2)  # mse has the curvature 2
    np.testing.assert_allclose(diagonal, expected, rtol=1e-11)


def _leaves(network, theta):
    start = 0
    for layer in network.layers:
        for shape in layer.shapes.values():
            size = int(np.prod(shape))
            yield tw.numpy.reshape(theta[start : start + size], shape)
            start += size


def test_vectors_and_matrices_are_the_same_numbers():
    for network in NETWORKS.values():
        places, theta = Places(network), RNG.normal(size=network.count)
        np.testing.assert_array_equal(places.vector(places.matrices(theta)), theta)
        for number, (matrix, start) in enumerate(
            zip(places.matrices(theta), places.starts, strict=True)
        ):
            rows, columns = places.neuron_and_input(number)
            own = theta[start : start + network.layers[number].count]
            np.testing.assert_array_equal(matrix[rows, columns], own)


@pytest.mark.parametrize("count", [1, 7, 8, 100, 2000, 12345])
@pytest.mark.parametrize("most", [8, 64, 1000])
def test_blocks_are_even(count, most):
    block = even_block(count, most)
    assert 1 <= block <= max(most, count if count <= most // 2 else most)
    blocks = -(-count // block)
    assert block * blocks - count < max(8 * blocks, 8)
