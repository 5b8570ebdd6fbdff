"""`make bounds`: true errors against printed bounds on 2000 random programs, both statistics.

    PYTHONPATH=tests python -m bounds [--programs 2000] [--seed 1] [--verbose]

Fails if a true error exceeds its bound, or if less than half of the programs have sharp bounds.
"""

from __future__ import annotations

import argparse
import sys

from bounds.report import survey
from bounds.samples import draw_cases
from tqdm import tqdm

from qdiff.sim.hybrid.engine import HybridEngine


def main() -> int:
    parser = argparse.ArgumentParser(description="Hold the error bounds against the true errors.")
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--verbose", action="store_true", help="show what was refused")
    options = parser.parse_args()
    report = survey(tqdm(draw_cases(options.programs, options.seed)), HybridEngine)
    print(report)
    for found in report.exceeded + (report.refused if options.verbose else []):
        print("\n" + found)
    return int(bool(report.exceeded) or report.sharp < 0.5)


if __name__ == "__main__":
    sys.exit(main())
