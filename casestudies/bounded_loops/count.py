"""Count occurrences and derivative programs of three families, and compare with the published table.

    python count.py             the programs of families.py, written to the folder `output`
    python count.py FOLDER      the programs of the same names in a folder, such as the artifact's own

A program is read, differentiated by t1 and counted; no figure is known but those of published.csv,
Table 2 of Zhu, Hung, Chakrabarti and Wu (PLDI 2020), which the counts are held against.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import qdiff as qd

HERE = Path(__file__).resolve().parent
OUTPUT = HERE / "output"
PUBLISHED = HERE / "published.csv"


@dataclass(frozen=True)
class Row:
    """One program: what was counted, and what was published."""

    name: str
    qubits: int
    counted: tuple[int, int]
    published: tuple[int, int]

    @property
    def agrees(self) -> bool:
        return self.counted == self.published


def published() -> dict[str, tuple[int, int]]:
    """Return the published occurrences and programs by name."""
    with PUBLISHED.open(encoding="ascii", newline="") as file:
        return {
            row["program"]: (int(row["occurrences"]), int(row["programs"])) for row in csv.DictReader(file)
        }


def write_programs(folder: Path) -> None:
    """Write the programs of the three families."""
    from families import program

    folder.mkdir(exist_ok=True)
    for name in published():
        family, _, variant = name.partition("_")
        (folder / f"{name}.prog").write_text(program(family, variant), encoding="ascii")


def counted(folder: Path) -> list[Row]:
    """Count the programs in a folder, wherever they lie in it.

    Raises:
        QdiffError: one of them is missing, or is no program.
    """
    found = {path.stem: path for path in sorted(folder.rglob("*.prog"))}
    rows = []
    for name, figures in published().items():
        program = qd.load(found.get(name, folder / f"{name}.prog"))
        derivative = qd.additive(program, "t1")
        rows.append(Row(name, len(program.qubits), (derivative.occurrences, derivative.count), figures))
    return rows


def report(rows: list[Row]) -> str:
    """Return the table."""
    lines = [f"{'':18}{'qubits':>7}{'occurrences':>13}{'programs':>10}{'published':>14}"]
    for row in rows:
        occurrences, programs = row.counted
        figures = f"{row.published[0]} / {row.published[1]}"
        remark = "" if row.agrees else "   differs"
        lines.append(f"{row.name:18}{row.qubits:7}{occurrences:13}{programs:10}{figures:>14}{remark}")
    agreeing = sum(row.agrees for row in rows)
    lines += ["", f"{agreeing} of {len(rows)} agree with the published counts."]
    return "\n".join(lines)


def main(words: list[str]) -> None:
    """Count and print."""
    if not words:
        write_programs(OUTPUT)
    print(report(counted(Path(words[0]) if words else OUTPUT)))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except qd.QdiffError as error:
        sys.exit(f"count.py: {error}")
