"""sinc(10x) on [-1, 1] by a network of 61 parameters: Adam's 10,000 epochs against 50 of LM.

    python examples/sinc.py

The problem of the torch-levenberg-marquardt README, which reports a mean squared error of
4.1e-4 for Adam after 10,000 epochs and 3.3e-7 for its Levenberg-Marquardt after 50.
"""

import time

import numpy as np

import thalweg as tw

X = np.linspace(-1.0, 1.0, 20_000)[:, None]
Y = np.sinc(10.0 * X / np.pi)


def main():
    network = tw.Network([tw.Dense(1, 20, "tanh"), tw.Dense(20, 1)])
    for method, epochs in (("lm", 50), ("lm", 200), ("adam", 200)):
        began = time.perf_counter()
        model = tw.fit(
            network, X, Y, method=method, split="none", epochs=epochs, seed=0, patience=0
        )
        seconds = time.perf_counter() - began
        error = float(np.mean((np.reshape(model.predict(X), Y.shape) - Y) ** 2))
        print(f"{method:5} {epochs:5} epochs: mean squared error {error:.1e}, {seconds:.1f} s")


if __name__ == "__main__":
    main()
