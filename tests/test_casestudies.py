"""The case studies give the figures that their pages promise."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from helpers import assert_close

import qdiff as qd

STUDIES = Path(__file__).resolve().parent.parent / "casestudies"


def study(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, STUDIES / name / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_amplitude_amplification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = study("amplitude_amplification")
    monkeypatch.setattr(module, "OUTPUT", tmp_path / "output")
    module.main()
    shown = capsys.readouterr().out
    f, result = module.train(progress=False)
    assert result.value <= 0.64511
    assert result.best.value == pytest.approx(0.645107, abs=1e-6)
    assert result.history.x[0, 0] == pytest.approx(3.35679 / 2, abs=1e-5)  # rival C of the paper
    assert_close(f([2.8684 / 2]), 0.645357505658967)
    assert "published optimum          2.86840   0.645357506" in shown
    for picture in ("landscape.png", "training.png"):
        assert (tmp_path / "output" / picture).read_bytes().startswith(b"\x89PNG")


def test_the_readme_shows_what_the_study_prints(capsys: pytest.CaptureFixture[str]) -> None:
    module = study("amplitude_amplification")
    f, result = module.train(progress=False)
    table = module.report(f, result, 0.25).splitlines()
    readme = (STUDIES.parent / "README.md").read_text(encoding="utf-8")
    for line in table[:7]:
        assert line in readme


def test_the_program_is_the_reference_case() -> None:
    program = qd.load(STUDIES / "amplitude_amplification" / "program.qprog")
    assert program.qubits == ("q", "r")
    assert program.trainable == ("t", "a")
