"""One workload, all sides: do they compute the same, and how fast is each."""

from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from benchmarks.peak import FLOPS_PER_STEP, peak_run
from benchmarks.peers import Run, Side, Unavailable
from benchmarks.timing import alternate, median_ratio
from benchmarks.workloads import Parameters, Workload

__all__ = ["Row", "measure_workload"]


@dataclass
class Row:
    """What was measured of one side on one workload."""

    workload: str
    family: str
    setting: str
    threads: int
    difference: float | None = None
    equal: bool | None = None
    seconds: list[float] = field(default_factory=list)
    times_slower: float | None = None
    share_of_peak: float | None = None
    best: bool = False
    refused: str = ""


def measure_workload(
    workload: Workload, sides: list[Side], rounds: int, seconds: float, most: int
) -> list[Row]:
    """Compare the parameters, then time the sides that can train this workload, in turns.

    ``times_slower`` compares with the first family's best setting; ``share_of_peak`` is that
    of the settings on one thread.
    """
    rows = [Row(workload.name, side.family, side.setting, side.threads) for side in sides]
    _compare(workload, sides, rows, min(workload.check_steps, most))
    able = [(side, row) for side, row in zip(sides, rows, strict=True) if not row.refused]
    runs: list[Run] = [side.prepare(workload) for side, _ in able]
    *times, peak_times = alternate([*runs, peak_run(workload.dtype)], rounds, seconds, most)
    for (_, row), taken in zip(able, times, strict=True):
        row.seconds = taken
    _judge(workload, rows, [FLOPS_PER_STEP / taken for taken in peak_times])
    return rows


def _compare(workload: Workload, sides: list[Side], rows: list[Row], steps: int) -> None:
    """Every side's float64 parameters against those of the first that can train this."""
    first: Side | None = None
    expected: dict[float, Parameters] = {}
    for side, row in zip(sides, rows, strict=True):
        checked = replace(workload, epsilon=side.check_epsilon)
        try:
            found = side.parameters_after(checked, steps)
        except Unavailable as error:
            row.refused = str(error)
            continue
        except Exception as error:
            if side.family == rows[0].family:
                raise
            # A peer that fails, as PyTorch does without a C++ compiler, is one row less.
            row.refused = f"failed: {type(error).__name__}"
            continue
        first = first or side
        if side is first:
            expected[checked.epsilon] = found
        elif checked.epsilon not in expected:
            expected[checked.epsilon] = first.parameters_after(checked, steps)
        row.difference = _distance(expected[checked.epsilon], found)
        row.equal = row.difference <= side.tolerance


def _distance(a: Parameters, b: Parameters) -> float:
    pairs = [pair for layers in zip(a, b, strict=True) for pair in zip(*layers, strict=True)]
    return max(float(np.max(np.abs(x - y))) for x, y in pairs)


def _judge(workload: Workload, rows: list[Row], peak: list[float]) -> None:
    measured = [row for row in rows if row.seconds]
    for family in {row.family for row in measured}:
        settings = [row for row in measured if row.family == family]
        min(settings, key=lambda row: median(row.seconds)).best = True
    base = next((row for row in measured if row.best and row.family == rows[0].family), None)
    for row in measured:
        if base is not None and row.family != base.family:
            row.times_slower = median_ratio(row.seconds, base.seconds)
        if row.threads == 1:
            shares = [workload.flops / s / p for s, p in zip(row.seconds, peak, strict=True)]
            row.share_of_peak = median(shares)
