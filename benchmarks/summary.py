"""The table of the documents, in Markdown, from results that were measured before.

python -m benchmarks.summary
python -m benchmarks.summary elsewhere/speed.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.report import RESULTS, shown

__all__ = ["summary"]

TITLES = {"torch": "PyTorch", "jax": "JAX", "sklearn": "scikit-learn"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.summary",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("json", type=Path, nargs="?", default=RESULTS / "speed.json")
    figures = json.loads(parser.parse_args().json.read_text(encoding="utf-8"))
    host = figures["host"]
    print(
        f"{host['measured']}, {host['cores']} cores, {host['processor']}, Python {host['python']}\n"
    )
    print(summary(figures["speed"]))


def summary(rows: Sequence[dict[str, Any]]) -> str:
    """Microseconds of the first library, and how many times longer the others take."""
    best = {(row["workload"], row["family"]): row for row in rows if row["best"]}
    first, *others = dict.fromkeys(family for _, family in best)
    lines = [["workload", f"{first}, µs", *(TITLES.get(name, name) for name in others)]]
    lines.append(["---"] * len(lines[0]))
    for workload in dict.fromkeys(name for name, _ in best):
        own = best.get((workload, first))
        cells = [workload, "" if own is None else shown(median(own["seconds"]) * 1e6)]
        for family in others:
            row = best.get((workload, family))
            ratio = None if row is None else row["times_slower"]
            cells.append("" if ratio is None else shown(ratio))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    main()
