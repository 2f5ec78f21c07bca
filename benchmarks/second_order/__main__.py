"""Second-order training: Levenberg-Marquardt, L-BFGS and BFGS, thalweg's beside its peers'.

python -m benchmarks.second_order
python -m benchmarks.second_order --only surface --kinds lm --rounds 1 --seconds 5
"""

import argparse
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from time import sleep

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.report import RESULTS, write_json
from benchmarks.second_order import many_samples
from benchmarks.second_order.families import FAMILIES, all_sides
from benchmarks.second_order.problems import GOALS, PROBLEMS, Problem, Trace
from benchmarks.second_order.sides import Side
from benchmarks.timing import SETTLE, median_ratio

KINDS = {"lm": "Levenberg-Marquardt", "lbfgs": "L-BFGS", "bfgs": "BFGS"}


@dataclass
class Row:
    """What was measured of one side on one problem."""

    problem: str
    kind: str
    family: str
    setting: str
    iterations: int = 0
    seconds: list[float] = field(default_factory=list)
    times_slower: float | None = None
    time_to: dict[str, float | None] = field(default_factory=dict)
    mse: float = float("nan")


def main() -> None:
    options = _options()
    console = Console()
    if not console.is_terminal:
        console = Console(width=130)
    rows: list[Row] = []
    for problem in options.only:
        for kind in options.kinds:
            sides = [s for s in all_sides(options.peers) if s.kind == kind]
            console.print(f"{problem.name}, {KINDS[kind]} ...", style="dim")
            found = _measure(problem, sides, options, console)
            console.print(_table(problem, kind, found))
            rows += found
    large = [] if options.no_large else many_samples.measure(options.samples)
    if large:
        console.print(many_samples.table(large))
    write_json(options.json, rows=[asdict(r) for r in rows], many_samples=large)
    console.print(f"wrote {options.json}")


def _measure(
    problem: Problem, sides: list[Side], options: argparse.Namespace, console: Console
) -> list[Row]:
    """All sides in turns, a few times; the times to a goal are medians over the rounds."""
    rows = [Row(problem.name, side.kind, side.family, side.setting) for side in sides]
    counts = [_count(problem, side, options.seconds) for side in sides]
    traces: list[list[Trace]] = [[] for _ in sides]
    for _ in range(options.rounds):
        for side, count, found in zip(sides, counts, traces, strict=True):
            sleep(SETTLE)
            found.append(side.run(problem, count))
    for row, found in zip(rows, traces, strict=True):
        row.iterations = found[0].iterations
        row.seconds = [trace.per_iteration for trace in found]
        row.mse = min(v for v in found[0].mse if v == v)
        for goal in GOALS:
            times = [trace.time_to(goal) for trace in found]
            known = [t for t in times if t is not None]
            row.time_to[f"{goal:g}"] = median(known) if len(known) == len(times) else None
    own = next((row for row in rows if row.family == "thalweg"), None)
    for row in rows:
        if own is not None and row is not own:
            row.times_slower = median_ratio(row.seconds, own.seconds)
    return rows


def _count(problem: Problem, side: Side, seconds: float) -> int:
    """As many iterations as are wanted, or as take about so many seconds."""
    wanted = min(problem.lengths[side.kind], side.most)
    few = min(5, wanted)
    each = side.run(problem, few).per_iteration
    return max(few, min(wanted, int(seconds / max(each, 1e-9))))


def _table(problem: Problem, kind: str, rows: list[Row]) -> Table:
    title = f"{problem.name}, {KINDS[kind]} (medians; ratio: times slower than thalweg)"
    table = Table(title=title, box=SIMPLE)
    table.add_column("side", no_wrap=True)
    for name in ("ms/iteration", "iterations/s", "ratio", *(f"s to {g:g}" for g in GOALS)):
        table.add_column(name, justify="right")
    table.add_column("mse, after", justify="right")
    for row in rows:
        each = median(row.seconds)
        ratio = "" if row.times_slower is None else f"{row.times_slower:.1f}"
        reached = ["-" if t is None else f"{t:.3g}" for t in row.time_to.values()]
        table.add_row(
            f"{row.family} {row.setting}",
            f"{each * 1e3:.3g}",
            f"{1.0 / each:.0f}",
            ratio,
            *reached,
            f"{row.mse:.1e}, {row.iterations}",
        )
    return table


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.second_order",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = {problem.name: problem for problem in PROBLEMS}
    parser.add_argument(
        "--only", nargs="+", choices=names, default=list(names), help="problems (all)"
    )
    parser.add_argument(
        "--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="methods (all)"
    )
    parser.add_argument(
        "--peers", nargs="+", choices=FAMILIES, default=list(FAMILIES), help="libraries (all)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="in turns (3)")
    parser.add_argument("--seconds", type=float, default=30.0, help="per side and round (30)")
    parser.add_argument(
        "--samples",
        type=int,
        nargs="+",
        default=[10**4, 10**5, 10**6],
        help="of the large tables (10000 100000 1000000)",
    )
    parser.add_argument("--no-large", action="store_true", help="leave out the many samples")
    parser.add_argument(
        "--json",
        type=Path,
        default=RESULTS / "second_order.json",
        help="where results go (benchmarks/results/second_order.json)",
    )
    options = parser.parse_args()
    options.only = [names[name] for name in options.only]
    if "thalweg" not in options.peers:
        options.peers.insert(0, "thalweg")
    return options


if __name__ == "__main__":
    main()
