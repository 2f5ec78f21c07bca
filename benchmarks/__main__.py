"""Training speed and costs: thalweg beside PyTorch, JAX, scikit-learn and tinygrad.

python -m benchmarks
python -m benchmarks --only xor,small --runs 7 --peers torch,jax
"""

import argparse
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from benchmarks import costs, report
from benchmarks.measure import Row, measure_workload
from benchmarks.peers import FAMILIES, Side, Unavailable, sides_of
from benchmarks.workloads import WORKLOADS, Workload


def main() -> None:
    options = _options()
    console = Console()
    families = ["thalweg", *(f for f in options.peers if f != "thalweg")]
    # Costs first: a small parent keeps the children's start quick.
    records = [] if options.no_costs else costs.measure(families, options.repeats)
    if options.install_size:
        sizes = costs.install_sizes([record["family"] for record in records])
        for record in records:
            record["install_size"] = sizes[record["family"]]
    sides, absent = _sides(families)
    rows: list[Row] = []
    for workload in options.only:
        console.print(f"{workload.name} ...", style="dim")
        rows += measure_workload(workload, sides, options.runs, options.seconds, options.most_steps)
        rows += [Row(workload.name, name, "", 0, refused=why) for name, why in absent.items()]
        # What has been measured is not lost again.
        report.write_json(options.json, speed=[asdict(row) for row in rows], costs=records)
    console.print(report.speed_table(rows))
    if records:
        console.print(report.costs_table(records))
    console.print(f"wrote {options.json}")
    if find_spec("matplotlib") and rows:
        picture = options.json.with_suffix(".png")
        report.write_plot(picture, rows)
        console.print(f"wrote {picture}")


def _sides(families: list[str]) -> tuple[list[Side], dict[str, str]]:
    """Every setting of the libraries that are here; of the others, why they are not."""
    sides: list[Side] = []
    absent: dict[str, str] = {}
    for family in families:
        try:
            sides += sides_of(family)
        except Unavailable as error:
            absent[family] = str(error)
    if not sides:
        raise SystemExit("No library to measure is installed here.")
    return sides, absent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = ",".join(workload.name for workload in WORKLOADS)
    parser.add_argument("--only", type=_workloads, default=WORKLOADS, help=f"some of {names}")
    parser.add_argument("--runs", type=int, default=7, help="rounds, in turns (7)")
    parser.add_argument(
        "--peers", type=_families, default=list(FAMILIES), help=f"some of {','.join(FAMILIES)}"
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="per side and round (0.5)")
    parser.add_argument(
        "--most-steps", type=int, default=100_000, help="per side and round (100000)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        default=report.RESULTS / "speed.json",
        help="where results go (benchmarks/results/speed.json)",
    )
    parser.add_argument("--no-costs", action="store_true", help="only training speed")
    parser.add_argument("--repeats", type=int, default=5, help="processes per cost (5)")
    parser.add_argument("--install-size", action="store_true", help="fresh environments; slow")
    return parser.parse_args()


def _workloads(text: str) -> list[Workload]:
    known = {workload.name: workload for workload in WORKLOADS}
    return [known[name] for name in _chosen(text, list(known))]


def _families(text: str) -> list[str]:
    return _chosen(text, list(FAMILIES))


def _chosen(text: str, known: list[str]) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return names


if __name__ == "__main__":
    main()
