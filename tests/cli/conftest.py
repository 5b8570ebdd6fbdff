"""The command line in this process: what it returned, what it printed, what it left behind."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli.programs import TURN, WALK

from qdiff.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> dict:
        """The one JSON object on stdout."""
        assert self.out.count("\n") == 1
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} in JSON"))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to work in, with two programs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "walk.qprog").write_text(WALK)
    (tmp_path / "turn.qprog").write_text(TURN)
    return tmp_path


@pytest.fixture
def qdiff(capsys):
    """Run `qdiff` with these words."""

    def run(*words: str) -> Ran:
        capsys.readouterr()
        status = main(words)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


@pytest.fixture
def done(qdiff):
    """Run `qdiff` where it must succeed without a word on stderr; return what it did."""

    def run(*words: str) -> Ran:
        ran = qdiff(*words)
        assert (ran.status, ran.err) == (0, "")
        return ran

    return run


@pytest.fixture
def refused(qdiff, folder):
    """Run `qdiff` where it must refuse; return its message. Nothing else is printed or written."""

    def run(*words: str) -> str:
        before = _contents(folder)
        ran = qdiff(*words)
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("qdiff: error: ")
        assert ran.err.endswith("\n")
        assert _contents(folder) == before
        return ran.err.removeprefix("qdiff: error: ").removesuffix("\n")

    return run


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
