"""Build the wheel, install it in a fresh environment, and use it there: what a user gets must work."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "qubit: q para: t Ry(t)[q]; while M[q] = 1 do Ry(t)[q] od"
USE = f"""
import qdiff as qd, pathlib
f = qd.expectation(qd.parse({PROGRAM!r}), "1")
assert abs(f({{"t": 0.5}}) - 1) < 1e-9
assert (pathlib.Path(qd.__file__).parent / "py.typed").exists()
print("wheel:", qd.__version__, "works from", pathlib.Path(qd.__file__).parent.name)
"""


def main() -> None:
    """Build, install, use."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        run(sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(ROOT))
        (wheel,) = place.glob("*.whl")
        venv.create(place / "venv", with_pip=True)
        python = place / "venv" / "bin" / "python"
        run(
            str(python),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--constraint",
            str(ROOT / "constraints.txt"),
            str(wheel),
        )
        run(str(python), "-c", USE, cwd=place)


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command; its failure ends this program."""
    print("+", *command[:4], flush=True)
    subprocess.run(command, check=True, cwd=cwd)


if __name__ == "__main__":
    main()
