"""Make the pictures of this folder from real runs: ``python docs/images/make.py``."""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
COLUMNS = 84

THEME = TerminalTheme(
    (250, 250, 247),
    (36, 41, 47),
    [
        *((36, 41, 47), (192, 57, 43), (30, 122, 60), (154, 103, 0)),
        *((9, 105, 218), (130, 60, 160), (22, 110, 125), (110, 119, 129)),
    ],
)
SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
  <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
<rect fill="#fafaf7" stroke="#d0d7de" x="0.5" y="0.5" width="{width}" height="{height}" rx="8"/>
<g transform="translate({terminal_x}, 26)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""

PICTURES = {
    "fit": ["thalweg fit breast_cancer.csv --target diagnosis"],
    "explain": ['thalweg explain --formula "w*x + b" w=-2 x=5 b=3'],
}


def run(command: str, folder: str) -> str:
    """What a command writes on a terminal of 80 columns, colours and all."""
    environment = {
        **os.environ, "COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8",
    }  # fmt: skip
    environment.pop("NO_COLOR", None)
    words = [sys.executable, "-m", "thalweg", *shlex.split(command)[1:]]
    done = subprocess.run(
        words, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def main() -> None:
    """Write every picture."""
    with tempfile.TemporaryDirectory() as folder:
        for table in (ROOT / "examples").glob("*.csv"):
            (Path(folder) / table.name).write_bytes(table.read_bytes())
        for name, commands in PICTURES.items():
            console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
            for command in commands:
                console.print(Text.assemble(("$ ", "dim"), (command, "bold")))
                console.print(Text.from_ansi(run(command, folder)))
            svg = console.export_svg(theme=THEME, code_format=SVG, unique_id=name)
            svg = re.sub(r"[ \t]+\n", "\n", svg)
            (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
