"""Draw the curves of one or several training logs, one after the other.

python tools/train/curves.py curves.svg runs/a/log.csv runs/b/log.csv
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib.pyplot as plt

_TERMS = ("ssi", "gradient", "absolute", "consistency")


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("logs", type=Path, nargs="+")
    options = parser.parse_args()
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    before = 0
    for log in options.logs:
        with log.open(newline="") as file:
            rows = list(csv.DictReader(file))
        steps = [before + int(row["step"]) for row in rows]
        for i, term in enumerate(_TERMS):
            left.plot(steps, [float(row[term]) for row in rows], f"C{i}", label=term)
        pairs = zip(steps, rows, strict=True)
        checked = [(step, float(row["val_error"])) for step, row in pairs if row["val_error"]]
        right.plot(*zip(*checked, strict=True), "C0o-")
        before = steps[-1]
        left.axvline(before, color="0.8", zorder=0)
    left.legend(*[x[: len(_TERMS)] for x in left.get_legend_handles_labels()])
    left.set(xlabel="step", ylabel="loss", yscale="log")
    right.set(xlabel="step", ylabel="validation error, of the label's range", ylim=(0, None))
    figure.savefig(options.out)


if __name__ == "__main__":
    main()
