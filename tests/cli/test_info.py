"""What ``thalweg info`` says about tables and models."""

import numpy as np

UNITS = "T [°C],p [hPa],Q [l/min],:1:"


def test_names_with_units_in_brackets_are_whole(call, tmp_path):
    path = tmp_path / "units.csv"
    random = np.random.default_rng(0).normal(size=(30, 4)).round(3)
    rows = "\n".join(",".join(map(str, row)) for row in random.tolist())
    path.write_text(f"{UNITS}\n{rows}\n")
    told = call("info", path)
    model = tmp_path / "units.thalweg"
    assert call("fit", path, "-t", "Q [l/min]", "--epochs", 2, "-o", model).code == 0
    for text in (told.out, call("info", model).out):
        for name in UNITS.split(","):
            assert name in text
