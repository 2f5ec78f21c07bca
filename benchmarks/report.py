"""Measurements as a terminal table, as JSON and as a picture."""

import json
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from benchmarks.measure import Row
from benchmarks.peers import cores

__all__ = [
    "RESULTS",
    "costs_table",
    "host",
    "shown",
    "speed_table",
    "write_json",
    "write_plot",
]

RESULTS = Path(__file__).parent / "results"


def speed_table(rows: Sequence[Row]) -> Table:
    """One line per side; each library's best setting is marked and is the one compared."""
    table = Table(
        title="One training step (medians)",
        box=SIMPLE,
        collapse_padding=True,
        pad_edge=False,
        caption="× times as long as the first library's best setting · peak: share of one thread's "
        "fused multiply-adds · |Δ| largest difference of parameters, in float64 (≠: too large)",
    )
    for heading in ("workload", "library", "setting"):
        table.add_column(heading, no_wrap=True)
    for heading in ("µs/step", "×", "peak", "|Δ|"):
        table.add_column(heading, justify="right", no_wrap=True)
    for previous, row in zip([None, *rows[:-1]], rows, strict=True):
        if previous is not None and previous.workload != row.workload:
            table.add_section()
        style = "bold" if row.best else "dim"
        time = shown(median(row.seconds) * 1e6) if row.seconds else row.refused
        ratio = "" if row.times_slower is None else shown(row.times_slower)
        share = "" if row.share_of_peak is None else f"{row.share_of_peak:.0%}"
        names = (row.workload, row.family, row.setting)
        table.add_row(*names, time, ratio, share, _difference(row), style=style)
    return table


def _difference(row: Row) -> str:
    if row.difference is None:
        return ""
    return f"{row.difference:.0e}" + ("" if row.equal else " ≠")


def shown(value: float) -> str:
    """Three digits where there are fewer before the point."""
    return f"{value:,.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def costs_table(records: Sequence[dict[str, Any]]) -> Table:
    """Import, first step, first epoch, memory and disk of each library."""
    table = Table(
        title="Costs beside training",
        box=SIMPLE,
        caption="s from process start to the end of the first step and first epoch of digits, with "
        "an empty object cache and with a warm one; peak memory and installed size in MB",
    )
    columns = [
        ("import", 1.0, "import"),
        ("step_cold", 1.0, "first step"),
        ("step_warm", 1.0, "warm"),
        ("epoch_cold", 1.0, "epoch"),
        ("epoch_warm", 1.0, "warm"),
        ("peak_memory", 1e-6, "memory"),
        ("install_size", 1e-6, "disk"),
    ]
    table.add_column("library", no_wrap=True)
    for _, _, heading in columns:
        table.add_column(heading, justify="right")
    for record in records:
        cells = [_number(record.get(key), scale) for key, scale, _ in columns]
        table.add_row(f"{record['family']} {record['version']}", *cells)
    return table


def _number(value: float | None, scale: float) -> str:
    return "" if value is None else f"{value * scale:,.{2 if scale == 1.0 else 0}f}"


def host() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": platform.machine(),
        "system": platform.system(),
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")


def write_json(path: Path, **figures: Any) -> None:
    """Every single timing, so that other statistics can be taken later, and the machine."""
    text = json.dumps({"host": host(), **figures}, indent=1, ensure_ascii=False) + "\n"
    _write(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_plot(path: Path, rows: Sequence[Row]) -> None:
    """Microseconds per step of each library's best setting, on a logarithmic scale."""
    from matplotlib.figure import Figure

    best = [row for row in rows if row.best]
    workloads = list(dict.fromkeys(row.workload for row in best))
    families = list(dict.fromkeys(row.family for row in best))
    figure = Figure(figsize=(2 + 1.6 * len(workloads), 4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(families)
    for number, family in enumerate(families):
        times = {row.workload: median(row.seconds) * 1e6 for row in best if row.family == family}
        places = [workloads.index(name) + (number + 0.5) * width - 0.4 for name in times]
        axes.bar(places, list(times.values()), width, label=family)
    axes.set_yscale("log")
    axes.set_ylabel("µs per training step")
    axes.set_xticks(range(len(workloads)), workloads)
    axes.legend()
    _write(path, lambda part: figure.savefig(part, dpi=150, format="png"))


def _write(path: Path, write: Callable[[Path], object]) -> None:
    """Beside its place, then renamed: who is interrupted has the older file still."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    write(part)
    part.replace(path)
