"""The study of bounded loops: its programs have the published counts, and it says where they differ."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import qdiff as qd
from qdiff.lang.prog.reader import read

STUDY = Path(__file__).resolve().parent.parent / "casestudies" / "bounded_loops"


def module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, STUDY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    # Its own imports are found as they are where it runs.
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for name in ("families", "count"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
        loaded = module(name)
    monkeypatch.setattr(loaded, "OUTPUT", tmp_path / "output")
    return loaded


def test_all_published_counts_follow_from_the_rules(
    study: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    study.main([])
    shown = capsys.readouterr().out
    assert shown.endswith("\n24 of 24 agree with the published counts.\n")
    assert "differs" not in shown
    readme = (STUDY / "README.md").read_text(encoding="utf-8")
    table = re.search(r"```text\n(.*?)```", readme, re.DOTALL)
    assert table is not None
    for line in table.group(1).splitlines():
        assert line in shown.splitlines()


def test_programs_of_a_folder(study: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study.write_programs(tmp_path)
    (tmp_path / "below").mkdir()
    (tmp_path / "VQE_if.prog").rename(tmp_path / "below" / "VQE_if.prog")
    (tmp_path / "VQE_while.prog").write_text("X(t1)[q1]; Y(t1)[q1]")
    study.main([str(tmp_path)])
    shown = capsys.readouterr().out
    assert "VQE_while               1            2         2         6 / 4   differs\n" in shown
    assert "23 of 24 agree" in shown
    (tmp_path / "VQE_while.prog").unlink()
    with pytest.raises(qd.QdiffError, match=r"^There is no file `.*VQE_while\.prog`\.$"):
        study.counted(tmp_path)


def test_the_programs_say_what_they_are(study: ModuleType) -> None:
    program = sys.modules["families"].program
    small = read(program("QAOA", "shared"))
    assert small == read(
        "q1 := |0>; q2 := |0>; q3 := |0>; CNOT()[q1,q2]; Z(t1)[q2]; CNOT()[q1,q2]; CNOT()[q2,q3]; Z(t1)[q3];"
        "CNOT()[q2,q3]; CNOT()[q3,q1]; Z(t1)[q1]; CNOT()[q3,q1]; X(t2)[q1]; X(t3)[q2]; X(t4)[q3]"
    )
    assert len(read(program("VQE", "large_if")).qubits) == 40
    with pytest.raises(ValueError, match=r"^there is no variant `medium_unless`$"):
        program("QNN", "medium_unless")
