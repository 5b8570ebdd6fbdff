"""`python -m benchmarks.simulators`: qdiff beside other simulators; prints the tables of README.md.

    OMP_NUM_THREADS=1 python -m benchmarks.simulators [shots] [static] [--repeat 7] [--only TEXT]
                                                      [--python PYTHON]

`shots` are those of programs that measure, `static` is value and gradient of circuits that never do; without
a name, both. Rows with a peer run it in a process of its own, one call of it and one of qdiff in turn: the
number is the median of the quotients of neighbours. What is wrong is not timed. Peers are optional:
`pip install 'qdiff[bench]'`.
"""

from __future__ import annotations

import argparse
import platform
import sys

import qdiff as qd
from benchmarks import shots, static

TABLES = {"shots": shots.figures, "static": static.figures}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulators", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="table", help="shots, static (both)")
    parser.add_argument("--repeat", type=int, default=7, help="timed runs of each row, at least 5 (7)")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--python", default=sys.executable, help="a Python that has the peers (this one)")
    options = parser.parse_args()
    names = options.tables or list(TABLES)
    if unknown := [name for name in names if name not in TABLES]:
        parser.error(f"there is no table `{unknown[0]}`; there are {', '.join(TABLES)}")
    print(f"qdiff {qd.__version__}, Python {platform.python_version()}, {platform.machine()}")
    for name in names:
        print("\n| what | goal | measured | |\n|---|---|---|---|")
        for figure in TABLES[name](max(5, options.repeat), options.python):
            if options.only in figure.name:
                print(figure.row(), flush=True)


if __name__ == "__main__":
    main()
