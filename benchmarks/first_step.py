"""A fresh process that trains a workload's first steps and says when they are done.

    python -m benchmarks.first_step torch digits 1

``costs.py`` starts it and holds the clock. It imports nothing but the one side it measures.
"""

import json
import sys

from benchmarks.peers import sides_of
from benchmarks.workloads import WORKLOADS


def peak_memory() -> int | None:
    """The most bytes this process ever held in memory; None where the system does not say.

    Not ``getrusage``: on Linux its figure includes the parent's memory at the fork.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
    except OSError:
        return None
    return int(line.split()[1]) * 1024


def main(family: str, workload_name: str, steps: int) -> None:
    workload = next(w for w in WORKLOADS if w.name == workload_name)
    side = sides_of(family)[0]
    side.prepare(workload)(steps)
    print(json.dumps({"setting": side.setting, "peak_memory": peak_memory()}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
