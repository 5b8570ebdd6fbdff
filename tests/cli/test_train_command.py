"""`qdiff train`: the result, the picture, the log, and what it refuses before anything is written."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from cli.programs import AT

from qdiff.lang.load import load
from qdiff.objective import expectation
from qdiff.train import LBFGSB, Adam, GradientDescent, maximize, minimize

START = {"t": 1.4, "w": [0.1, 0.2]}
TRAIN = ("train", "walk.qprog", "-O", "c", *AT)


def trained(search=minimize, **options):
    return search(expectation(load("walk.qprog"), "c"), START, **options)


@pytest.mark.parametrize(
    ("words", "search", "options"),
    [
        ((), minimize, {}),
        (("--maximize",), maximize, {}),
        (("--minimize", "--wrt", "t,w[1]"), minimize, {"wrt": ["t", "w[1]"]}),
        (("--lr", "0.05"), minimize, {"optimizer": Adam(lr=0.05)}),
        (("--optimizer", "gradient-descent"), minimize, {"optimizer": GradientDescent()}),
        (("--optimizer", "GradientDescent", "--lr", "1"), minimize, {"optimizer": GradientDescent(lr=1)}),
        (("--optimizer", "l-bfgs-b"), minimize, {"optimizer": LBFGSB()}),
    ],
)  # fmt: skip
def test_train_is_minimize_and_maximize(qdiff, words, search, options):
    result = trained(search, steps=4, **options)
    ran = qdiff(*TRAIN, *words, "--steps", "4", "--json")
    assert ran.status == 0
    assert ran.data == {
        "value": result.value,
        "grad": dict(zip(result.names, result.history.grad[-1].tolist(), strict=True)),
        "params": dict(result.params),
        "best": {"value": result.best.value, "params": dict(result.best.params)},
        "direction": search.__name__,
        "steps": 4,
        "evaluations": result.evaluations,
        "converged": False,
        "message": "took all 4 steps",
        "history": {
            "value": result.history.value.tolist(),
            "params": dict(zip(result.names, result.history.x.T.tolist(), strict=True)),
        },
    }


def test_train_as_text(qdiff):
    result = trained(wrt="w", steps=14)
    ran = qdiff(*TRAIN, "--wrt", "w", "--steps", "14")
    lines = ran.out.splitlines()
    assert lines[0].split() == ["step", "value", "w[0]", "w[1]"]
    rows = [line.split() for line in lines[1:9]]
    assert [int(row[0]) for row in rows] == [0, 2, 4, 6, 8, 10, 12, 14]
    for row in rows:
        step = int(row[0])
        assert row[1] == f"{result.history.value[step]:.8g}"
        assert row[2:] == [f"{x:.6g}" for x in result.history.x[step]]
    assert len({len(line) for line in lines[:9]}) == 1
    assert "\n".join(lines[9:]) == str(result)


def test_the_bar_is_on_stderr(qdiff):
    ran = qdiff(*TRAIN, "--steps", "3")
    assert "training: 100%" in ran.err
    assert "3/3" in ran.err
    assert "training" not in ran.out


def test_no_steps(qdiff):
    data = qdiff(*TRAIN, "--steps", "0", "--json").data
    assert (data["steps"], data["evaluations"], data["message"]) == (0, 1, "took all 0 steps")
    lines = qdiff(*TRAIN, "--steps", "0").out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["step", "0"]
    assert lines[2].startswith("Minimised c with 0 steps and 1 evaluations: took all 0 steps.")


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("PNG", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_plot(qdiff, folder, suffix, magic):
    picture = folder / f"course.{suffix}"
    picture.write_text("an older picture")
    ran = qdiff(*TRAIN, "--steps", "2", "--plot", picture.name)
    assert ran.status == 0
    assert ran.out.endswith(f"\npicture: {picture.name}\n")
    assert picture.read_bytes().startswith(magic)
    assert {path.name for path in folder.iterdir()} == {"walk.qprog", "turn.qprog", picture.name}


def test_plot_through_a_link(qdiff, folder):
    (folder / "real.png").write_bytes(b"")
    (folder / "link.png").symlink_to("real.png")
    assert qdiff(*TRAIN, "--steps", "1", "--plot", "link.png").status == 0
    assert (folder / "link.png").is_symlink()
    assert (folder / "real.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written_after_all(qdiff, folder, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    (folder / "course.png").write_text("an older picture")
    ran = qdiff(*TRAIN, "--steps", "1", "--plot", "course.png")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.endswith(
        "qdiff: error: The picture `course.png` cannot be written: No space left on device.\n"
    )
    assert (folder / "course.png").read_text() == "an older picture"
    assert {path.name for path in folder.iterdir()} == {"walk.qprog", "turn.qprog", "course.png"}


# --- the log ------------------------------------------------------------------------------------


def test_log_and_resume(qdiff, folder):
    words = (*TRAIN, "--log", "run.jsonl", "--json")
    ran = qdiff(*words, "--steps", "6")
    whole = ran.data
    assert whole["log"] == "run.jsonl"
    log = (folder / "run.jsonl").read_bytes()
    header, *evaluations = [json.loads(line) for line in log.splitlines()]
    assert header["observable"] == "c"
    assert [entry["value"] for entry in evaluations] == whole["history"]["value"]
    # Killed in the middle of its fifth line.
    lines = log.splitlines(keepends=True)
    (folder / "run.jsonl").write_bytes(b"".join(lines[:4]) + lines[4][:30])
    assert qdiff(*words, "--steps", "6", "--resume").data == whole
    assert (folder / "run.jsonl").read_bytes() == log
    longer = qdiff(*words, "--steps", "9", "--resume").data
    assert longer["history"]["value"][:7] == whole["history"]["value"]
    assert longer == {**qdiff(*TRAIN, "--steps", "9", "--json").data, "log": "run.jsonl"}
    assert qdiff(*words[:-1], "--steps", "9", "--resume").out.endswith("\nlog: run.jsonl\n")


def test_resume_without_a_log_yet_begins_one(qdiff, folder):
    assert qdiff(*TRAIN, "--steps", "1", "--log", "new.jsonl", "--resume").status == 0
    assert len((folder / "new.jsonl").read_text().splitlines()) == 3


def test_logs_that_are_refused(qdiff, refused):
    assert qdiff(*TRAIN, "--steps", "2", "--log", "run.jsonl").status == 0
    assert refused(*TRAIN, "--steps", "2", "--log", "run.jsonl") == (
        "The log `run.jsonl` exists already, evaluations in it: 3. "
        "Continue its run with --resume, or give this run another log."
    )
    other = refused("train", "walk.qprog", "-O", "c/2", *AT, "--log", "run.jsonl", "--resume")
    assert other == (
        "The log `run.jsonl` belongs to another run:\n"
        "    observable: 0.5*c here, c in the log\n"
        "Resume with the settings of the log, or give this run another log."
    )
    assert refused(*TRAIN, "--log", "walk.qprog") == (
        "`walk.qprog` is not a training log of qdiff. Give the log another name."
    )


# --- refused before anything is written ---------------------------------------------------------

FORMATS = "the suffix says the format, one of png, pdf, svg, jpg, jpeg, webp, tif, tiff, eps, ps."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resume",), "--resume needs the log of the run to continue: --log run.jsonl."),
        (("--log", "no/run.jsonl"), "--log `no/run.jsonl` cannot be written: there is no folder `no`."),
        (
            ("--log", "walk.qprog/x"),
            "--log `walk.qprog/x` cannot be written: there is no folder `walk.qprog`.",
        ),
        (("--log", "."), "--log `.` is a folder. Name a file in it."),
        (("--log", ""), "--log needs the name of a file."),
        (("--log", "a\0b"), "--log needs the name of a file."),
        (("--plot", "no/x.png"), "--plot `no/x.png` cannot be written: there is no folder `no`."),
        (("--plot", "x\x1b/x.png"), "--plot `x\\x1b/x.png` cannot be written: there is no folder `x\\x1b`."),
        (("--plot", "/"), "--plot `/` is a folder. Name a file in it."),
        (("--plot", ""), "--plot needs the name of a file."),
        (("--plot", "course"), f"--plot `course`: {FORMATS}"),
        (("--plot", "course.txt"), f"--plot `course.txt`: {FORMATS}"),
        (("--plot", "walk.qprog"), f"--plot `walk.qprog`: {FORMATS}"),
        (("--plot", "a.png", "--log", "./a.png"), "--plot and --log name the same file, `./a.png`."),
        (("--lr", "0"), "Adam: lr=0.0 must be a positive finite number."),
        (("--lr", "nan"), "Adam: lr=nan must be a positive finite number."),
        (("--optimizer", "sgd"), "There is no optimizer `sgd`. Known: adam, gradient-descent, l-bfgs-b."),
        (
            ("--optimizer", "l-bfgs-b", "--lr", "1"),
            "Optimizer `l-bfgs-b` has no setting `lr`. Its settings: tolerance, bounds.",
        ),
        (("--wrt", "x"), "wrt: 'x' is not a parameter. Parameters: t, w[0], w[1]."),
    ],
)
def test_settings_that_are_refused(refused, words, message):
    assert refused(*TRAIN, *words) == message


def test_names_that_are_too_long(refused):
    name = "a" * 300 + ".png"
    assert refused(*TRAIN, "--plot", name) == f"--plot `{name}` cannot be written: File name too long."


def test_places_that_may_not_be_written(refused, folder, monkeypatch):
    (folder / "old.png").write_bytes(b"")
    monkeypatch.setattr("os.access", lambda path, mode: mode != os.W_OK)
    for option, name in (("--plot", "old.png"), ("--plot", "new.png"), ("--log", "run.jsonl")):
        message = f"{option} `{name}` cannot be written: permission denied."
        assert refused(*TRAIN, option, name) == message


def test_nothing_to_train(refused, folder):
    (folder / "fixed.qprog").write_text("qubit: q\nX[q]")
    assert refused("train", "fixed.qprog", "-O", "Z[q]", "--log", "run.jsonl") == (
        "There is nothing to train: no parameter is trainable."
    )


def test_a_run_that_fails_on_its_way_keeps_its_log(qdiff, folder):
    (folder / "coin.qprog").write_text("qubit: q\npara: p\nif flip(p) then X[q] fi")
    words = ("train", "coin.qprog", "-O", "P1[q]", "-p", "p=0.25", "--log", "run.jsonl")
    ran = qdiff(*words)
    assert (ran.status, ran.out) == (2, "")
    assert "qdiff: error: coin.qprog:3:9: the probability `p` is -0.0" in ran.err
    assert "Traceback" not in ran.err
    logged = [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]
    assert np.allclose([entry["value"] for entry in logged[1:]], [0.25, 0.15, 0.05])


def test_an_interrupted_run_says_how_to_continue(qdiff, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("qdiff.train.minimize", interrupted)
    ran = qdiff(*TRAIN, "--log", "run.jsonl")
    assert (ran.status, ran.out) == (130, "")
    assert (
        ran.err
        == "Interrupted. `run.jsonl` keeps every evaluation: the same command with --resume continues.\n"
    )
    ran = qdiff(*TRAIN)
    assert (ran.status, ran.out) == (130, "")
    assert ran.err == "Interrupted. A run with --log can be continued with --resume.\n"
