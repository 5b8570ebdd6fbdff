"""The notebooks of the case studies run from the first cell to the last, and say what their pages promise."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

STUDIES = Path(__file__).resolve().parent.parent / "casestudies"
NOTEBOOKS = sorted(path for path in STUDIES.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)


def printed(notebook: nbformat.NotebookNode) -> str:
    """What all cells print."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    return "\n".join(output.text for output in outputs if output.output_type == "stream")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_is_saved_with_its_results(path: Path, tmp_path: Path) -> None:
    saved = nbformat.read(path, as_version=4)
    found = nbformat.read(path, as_version=4)
    NotebookClient(found, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert printed(found)
    for cell, before in zip(found.cells, saved.cells, strict=True):
        kinds = [output.output_type for output in cell.get("outputs", ())]
        assert kinds == [output.output_type for output in before.get("outputs", ())], cell.source


def test_other_tools_have_no_derivative_of_a_loop() -> None:
    shown = printed(nbformat.read(STUDIES / "qiskit_dynamic_circuits/dynamic_circuits.ipynb", as_version=4))
    assert "qiskit-algorithms, parameter shift (0.4.0)    KeyError" in shown
    assert "from 0.915418 to -1.118034" in shown
