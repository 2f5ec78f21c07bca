"""How batches of a size are worked off: a static model of what pays.

It looks at shapes alone. Lanes, blocks and chunks decide the order of sums and do not depend on
the number of threads; the number of threads decides nothing but who does what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from thalweg.compiler.target import host
from thalweg.nn.network import Network

__all__ = ["Plan", "plan"]

CACHE_BYTES = 1 << 20
"""Workspace of a block of samples; a larger batch is worked off in blocks."""

CHUNKS = 16
"""Parts of a large batch whose sums are kept apart, so that threads can take whole parts; fewer
where"""

CHUNK_BYTES = 1 << 20
"""is what the sums of all chunks may take, and half as many where"""

SAMPLES_IN_CHUNK = 1 << 10
"""is more than a chunk has: what it takes to end its sums then counts."""

HALVES = 2
"""The same parts where a batch is not worked off in blocks: see `thalweg.compiler.halves`."""

WEIGHTS_PER_VALUE = 30
"""Weights for each value of a sample from which threads may share the samples of a batch."""

WORK_PER_THREAD = 5e5
"""Floating-point operations of a step (in float32) from which another thread pays."""


MOST_IN_REGISTERS = 150
"""Weights, for each vector of samples, up to which the values of a step stay in registers,"""

MOST_GATHERED = 256
"""and numbers in the rows of a batch, whose gathering is written out."""


@dataclass(frozen=True)
class Plan:
    """One way through a batch.

    Attributes
    ----------
    lanes : int
        Samples in a panel: one vector or two.
    threaded, blocked : bool
        Whether the code is made for several threads, and for blocks.
    chunks : int
        Parts with sums of their own; 0 for none, 2 at most without blocks.
    block : int
        Samples that are worked off at once.
    threads : int
    unrolled : bool
        Whether a batch is one panel whose values are kept in registers.
    """

    lanes: int
    threaded: bool
    blocked: bool
    chunks: int
    block: int
    threads: int
    unrolled: bool = False

    @property
    def variant(self) -> tuple[int, bool, bool, int, bool]:
        """What the code depends on."""
        return self.lanes, self.threaded, self.blocked, self.chunks, self.unrolled


def plan(
    network: Network,
    batch_size: int,
    dtype: np.dtype[np.generic],
    threads: int,
    everything: bool = False,
) -> Plan:
    """The plan for a network.

    Parameters
    ----------
    network : Network
    batch_size : int
    dtype : float32 or float64
    threads : int
        At most so many.
    everything : bool
        Whether a batch is all there is: for another number of samples, of a fold say, the code
        is then the same.

    Examples
    --------
    >>> from thalweg.nn.network import Dense
    >>> small = Network([Dense(8, 64, "tanh"), Dense(64, 1)])
    >>> plan(small, 4, np.dtype("float32"), 2).threads
    1
    >>> plan(small, 100_000, np.dtype("float32"), 2).chunks
    16
    """
    item = dtype.itemsize
    widths = [network.inputs, *(layer.outputs for layer in network.layers)]
    shapes = [shape for layer in network.layers for shape in layer.shapes.values()]
    weights = sum(math.prod(shape) for shape in shapes)
    vector = host().lanes(item)
    panel = _one_panel(batch_size, vector)
    gathered = panel * (widths[0] + widths[-1])
    if weights * -(-panel // vector) <= MOST_IN_REGISTERS and gathered <= MOST_GATHERED:
        return Plan(panel, False, False, 0, batch_size, 1, unrolled=True)
    lanes = vector if batch_size <= vector else 2 * vector
    if not everything and _half_empty(batch_size, vector):
        lanes = vector
    sample_bytes = (2 * sum(widths) + 8) * item  # values and derivatives of every layer
    # So large a block that adding up sums from block to block costs little.
    room = max(CACHE_BYTES, 4 * weights * item)
    blocked = batch_size * sample_bytes > room
    block = max(1, room // (sample_bytes * lanes)) * lanes if blocked else batch_size
    chunks = CHUNKS if blocked else 0
    while chunks * weights * item > CHUNK_BYTES:
        chunks = chunks // 2 if chunks > 2 else 0
    few = batch_size < chunks * SAMPLES_IN_CHUNK and batch_size < chunks * block
    chunks = chunks // 2 if few and chunks == CHUNKS else chunks
    if chunks:
        block = min(block, -(-batch_size // (chunks * lanes)) * lanes)
    work = 6.0 * weights * batch_size * item / 4
    most = max(1, int(work / WORK_PER_THREAD))
    if not blocked and most > 1 and lanes < batch_size and weights <= batch_size * sum(widths):
        chunks = HALVES  # sums are fewer than the values of the samples
    # Where threads share the samples of a batch, the values of half of them change cores before
    # the sums; a narrow network computes too little with each of them for that.
    apart = bool(chunks) or weights >= WEIGHTS_PER_VALUE * sum(widths)
    threads = min(threads, most) if apart else 1
    return Plan(lanes, threads > 1, blocked, chunks, block, threads)


def _one_panel(samples: int, vector: int) -> int:
    """Lanes of a panel for all samples: part of a vector, or whole vectors.

    Examples
    --------
    >>> [_one_panel(n, 16) for n in (1, 3, 4, 9, 16, 41)]
    [2, 4, 4, 16, 16, 48]
    """
    if samples > vector:
        return -(-samples // vector) * vector
    return max(2, 1 << (samples - 1).bit_length())


def _half_empty(samples: int, vector: int) -> bool:
    """Whether panels of one vector leave clearly fewer lanes unused than panels of two.

    Examples
    --------
    >>> [n for n in (4, 20, 40, 64, 100, 1000) if _half_empty(n, 16)]
    [4, 40, 100]
    """
    one, two = (-(-samples // lanes) * lanes for lanes in (vector, 2 * vector))
    return one < 0.95 * two
