"""The report of ``thalweg fit``: what it suggests next, and how it fits narrow terminals."""

import re
import shlex

import pytest


def suggested(out):
    """The commands under "Next:"."""
    return [shlex.split(line)[1:] for line in out.splitlines() if line.startswith("  thalweg ")]


def test_what_is_suggested_next_works_where_values_are_missing(call, line):
    rows = line.read_text().splitlines()
    rows[1] = ",red,1.0"  # an input
    rows[2] = "0.5,red,"  # the target
    line.write_text("\n".join(rows) + "\n")
    told = call("fit", line, "-t", "y", "--missing", "drop", "--epochs", 2)
    (explain,) = suggested(told.out)  # predictions would need the missing input
    assert explain[-2:] == ["--row", "3"]
    assert call(*explain).code == 0


def test_what_is_suggested_next_works_on_a_complete_table(call, line):
    told = call("fit", line, "-t", "y", "--epochs", 2)
    commands = suggested(told.out)
    assert [command[0] for command in commands] == ["predict", "explain"]
    assert all(call(*command).code == 0 for command in commands)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_figures_are_whole_at_forty_columns(call, line, monkeypatch, lang):
    def figures():
        told = call("fit", line, "-t", "y", "--epochs", 9, "--force", "--lang", lang)
        return re.findall(r"-?\d+\.\d+", told.out[: told.out.index("line.thalweg")])

    wide = figures()
    monkeypatch.setenv("COLUMNS", "40")
    assert figures()[: len(wide) - 1] == wide[:-1]  # the last are seconds


def test_losses_of_targets_in_different_units_are_said_to_be_scaled(call, line):
    several = call("fit", line, "-t", "y", "-t", "x", "--epochs", 3, "--lang", "ko")
    assert "스케일링한 목표" in several.out
    one = call("fit", line, "-t", "y", "--epochs", 3, "--force")
    assert "loss over 3 epochs\n" in one.out
