"""What `main` does with its streams and with interruptions, in this process."""

from __future__ import annotations

import io

import pytest

from qdiff.cli import main


class Full(io.StringIO):
    """A stream on a disk without room."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_output_that_cannot_be_written(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", Full())
    assert main(["check", "turn.qprog"]) == 2
    message = "qdiff: error: The output cannot be written: No space left on device.\n"
    assert capsys.readouterr().err == message


def test_output_that_is_closed(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["check", "turn.qprog"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["run"], ["run", "--json"]])
def test_ctrl_c_is_quiet(qdiff, monkeypatch, words):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qdiff.sampling.sample", interrupted)
    ran = qdiff(*words, "turn.qprog", "-p", "t=1")
    assert (ran.status, ran.out, ran.err) == (130, "", "")


def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("qdiff.sampling.sample", broken)
    with pytest.raises(ZeroDivisionError):
        main(["run", "turn.qprog", "-p", "t=1"])
