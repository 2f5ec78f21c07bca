"""What a user pays beside the training: import, first step, memory, disk.

    python -m benchmarks.costs                 # import time, first step, peak memory
    python -m benchmarks.costs --install-size  # also a fresh environment per library (slow)

Every figure comes from processes of its own; times are medians. thalweg's first step is
measured with an empty object cache (cold) and with the one that run left behind (warm).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

__all__ = ["LIBRARIES", "Library", "install_sizes", "measure"]

ROOT = Path(__file__).resolve().parent.parent
WORKLOAD = "digits"


class Library(NamedTuple):
    """How a library is imported and how it is installed."""

    module: str
    distribution: str


LIBRARIES = {
    "thalweg": Library("thalweg", "thalweg"),
    "torch": Library("torch", "torch"),
    "jax": Library("jax.numpy", "jax"),
    "sklearn": Library("sklearn.neural_network", "scikit-learn"),
}


def measure(families: list[str], repeats: int) -> list[dict[str, Any]]:
    """One record per library that is installed here; seconds and bytes."""
    records = []
    for family in families:
        library = LIBRARIES.get(family)
        if library is None or find_spec(library.module.split(".")[0]) is None:
            continue
        record: dict[str, Any] = {"family": family, "version": version(library.distribution)}
        record["import"] = median(_import_seconds(library.module) for _ in range(repeats))
        record |= _first_steps(family, repeats)
        records.append(record)
    return records


def _import_seconds(module: str) -> float:
    """Seconds the import alone takes in a fresh interpreter."""
    clock = "from time import perf_counter as now; start = now()"
    code = f"{clock}; import {module}; print(now() - start)"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
    )
    return float(done.stdout)


def _first_steps(family: str, repeats: int) -> dict[str, Any]:
    """Process start to first finished step, and to the end of the first epoch; peak memory."""
    record: dict[str, Any] = {}
    for label, steps in (("step", 1), ("epoch", 14)):
        cold, warm = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                first = _first_step(family, steps, cache)
                if first is None:
                    return record
                cold.append(first)
                warm.append(_first_step(family, steps, cache) or first)
        record[f"{label}_cold"] = median(seconds for seconds, _ in cold)
        record[f"{label}_warm"] = median(seconds for seconds, _ in warm)
        record["setting"] = cold[0][1]["setting"]
        record["peak_memory"] = cold[0][1]["peak_memory"]
    return record


def _first_step(family: str, steps: int, cache: str) -> tuple[float, dict[str, Any]] | None:
    """Seconds from process start to the message of the child, and the message."""
    command = [sys.executable, "-m", "benchmarks.first_step", family, WORKLOAD, str(steps)]
    environment = {**os.environ, "THALWEG_CACHE": cache}
    start = perf_counter()
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
        env=environment,
    )
    assert child.stdout is not None
    line = child.stdout.readline()
    seconds = perf_counter() - start
    child.communicate()
    return (seconds, json.loads(line)) if line and child.returncode == 0 else None


def install_sizes(families: list[str]) -> dict[str, int]:
    """Bytes that ``pip install`` of each library adds to a fresh virtual environment."""
    return {family: _install_size(family) for family in families if family in LIBRARIES}


def _install_size(family: str) -> int:
    requirement = str(ROOT) if family == "thalweg" else _pinned(LIBRARIES[family].distribution)
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        packages = next(Path(folder).glob("**/site-packages"))
        before = _bytes_under(packages)
        python = Path(folder, "Scripts" if os.name == "nt" else "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", requirement], check=True)
        return _bytes_under(packages) - before


def _pinned(distribution: str) -> str:
    """The version measured here, without the local part that names a build."""
    try:
        return f"{distribution}=={version(distribution).split('+')[0]}"
    except PackageNotFoundError:
        return distribution


def _bytes_under(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    from rich.console import Console

    from benchmarks.report import costs_table

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.costs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--repeats", type=int, default=5, help="processes per figure (5)")
    parser.add_argument("--install-size", action="store_true", help="fresh environments; slow")
    options = parser.parse_args()
    records = measure(list(LIBRARIES), options.repeats)
    if options.install_size:
        sizes = install_sizes([record["family"] for record in records])
        for record in records:
            record["install_size"] = sizes[record["family"]]
    Console().print(costs_table(records))


if __name__ == "__main__":
    main()
