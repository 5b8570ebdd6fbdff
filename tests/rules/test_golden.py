"""What derivatives of the published studies print, line by line; `pytest --update-golden` writes it anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from qdiff.lang.load import load
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program
from qdiff.rules.additive import additive
from qdiff.rules.derivative import DerivativeProgram, differentiate

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
STUDIES = {
    "amplitude_amplification": ("casestudies/amplitude_amplification/program.qprog", "a", "t"),
    "quantum_walk": ("benchmarks/programs/quantum_walk.qprog", "t1"),
    "repeat_until_success": ("benchmarks/programs/repeat_until_success.qprog", "t1", "s6"),
}
RENDERINGS = ("family", "self_contained", "tangent", "additive")
SUBJECTS = [
    (study, parameter, rendering)
    for study, (_, *parameters) in STUDIES.items()
    for parameter in parameters
    for rendering in RENDERINGS
] + [("amplitude_amplification", "t", "geometric")]
BOUND = 2  # passes of the loops, for the additive form


def rendered(made: DerivativeProgram, rendering: str) -> tuple[str, Program]:
    """The text of a rendering, and the program that it is of."""
    if rendering == "family":
        return str(made), made.family.program
    if rendering == "additive":
        bounded = parse(str(made.source).replace("while ", f"while{{{BOUND}}} "))
        derivative = additive(bounded, made.parameter)
        return str(derivative), derivative.joined.program
    laws = {"self_contained": "log-power", "geometric": "geometric"}
    what = made.tangent if rendering == "tangent" else made.self_contained(laws[rendering])
    return str(what), what.program


@pytest.mark.parametrize(("study", "parameter", "rendering"), SUBJECTS)
def test_renderings_of_the_studies(
    study: str, parameter: str, rendering: str, request: pytest.FixtureRequest
) -> None:
    program = load(ROOT / STUDIES[study][0])
    text, made = rendered(differentiate(program, parameter), rendering)
    assert parse(text) == made
    file = HERE / "golden" / f"{study}_{parameter}_{rendering}.qprog"
    if request.config.getoption("--update-golden"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_there_are_no_other_golden_files() -> None:
    expected = {f"{study}_{parameter}_{rendering}.qprog" for study, parameter, rendering in SUBJECTS}
    assert {file.name for file in (HERE / "golden").iterdir()} == expected
