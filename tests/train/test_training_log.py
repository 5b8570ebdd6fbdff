"""The log: what is in it, that resuming from it changes nothing, and what is refused."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import qdiff
import qdiff.train.log as log_module
from qdiff.errors import TrainingError
from qdiff.lang.text.parser import parse
from qdiff.train import LBFGSB, Adam, GradientDescent, maximize, minimize

OPTIMIZERS = [Adam(lr=0.2), GradientDescent(lr=0.2), LBFGSB(bounds={"w[1]": (None, 2)})]


def same(one, other) -> bool:
    """Whether two results are the same bit for bit."""
    return (
        one.history.x.tobytes() == other.history.x.tobytes()
        and one.history.value.tobytes() == other.history.value.tobytes()
        and one.history.grad.tobytes() == other.history.grad.tobytes()
        and one.x.tobytes() == other.x.tobytes()
        and (one.value, one.best.value, one.best.x.tobytes())
        == (other.value, other.best.value, other.best.x.tobytes())
        and (one.steps, one.evaluations) == (other.steps, other.evaluations)
        and (one.converged, one.message, one.params) == (other.converged, other.message, other.params)
    )


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def sealed(record: dict) -> bytes:
    """A line with its checksum, as a forger would write it."""
    record = {key: value for key, value in record.items() if key != "crc32"}
    body = json.dumps(record).encode()
    return body[:-1] + b', "crc32": "%08x"}\n' % zlib.crc32(body)


def test_what_is_in_a_log(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    result = minimize(toy, start, optimizer=Adam(lr=0.2), steps=4, log=path)
    header, *rest = [json.loads(line) for line in lines_of(path)]
    text = "qubit: q\npara: t, w[2], n\nRy(t)[q];\nRz(w[0])[q];\nRy(w[1])[q]\n"
    assert header.pop("qdiff") == qdiff.__version__
    assert header.pop("crc32")
    assert header == {
        "format": "qdiff-training-log",
        "version": 1,
        "program_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "program": text,
        "observable": "Z[q]",
        "direction": "minimize",
        "wrt": ["t", "w[0]", "w[1]"],
        "x0": [1.5, 0.2, -0.6],
        "fixed": {"n": 40.0},
        "optimizer": {"name": "adam", "lr": 0.2, "betas": [0.9, 0.999], "eps": 1e-08},
        "steps": 4,
    }
    for line in rest:
        line.pop("crc32")
    assert rest == [
        {"evaluation": k, "x": x, "value": value, "grad": grad}
        for k, (x, value, grad) in enumerate(
            zip(
                result.history.x.tolist(),
                result.history.value.tolist(),
                result.history.grad.tolist(),
                strict=True,
            )
        )
    ]


def test_maximize_logs_the_objective_itself(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    result = maximize(toy, start, steps=2, log=str(path))
    header, first, *_ = [json.loads(line) for line in lines_of(path)]
    assert header["direction"] == "maximize"
    assert (first["value"], first["grad"]) == (result.history.value[0], result.history.grad[0].tolist())


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_cut_after_any_evaluation_resumes_to_the_same_result(toy, start, tmp_path, optimizer):
    path = tmp_path / "run.jsonl"
    plain = minimize(toy, start, optimizer=optimizer, steps=12)
    whole = minimize(toy, start, optimizer=optimizer, steps=12, log=path)
    assert same(plain, whole)
    content, lines = path.read_bytes(), lines_of(path)
    for kept in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:kept]))
        toy.calls = 0
        resumed = minimize(toy, start, optimizer=optimizer, steps=12, log=path, resume=True)
        assert same(resumed, whole)
        assert toy.calls == len(lines) - kept
        assert path.read_bytes() == content


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_finished_run_goes_on_with_more_steps(toy, start, tmp_path, optimizer):
    path = tmp_path / "run.jsonl"
    short = minimize(toy, start, optimizer=optimizer, steps=3, log=path)
    long = minimize(toy, start, optimizer=optimizer, steps=9, log=path, resume=True)
    assert same(long, minimize(toy, start, optimizer=optimizer, steps=9))
    content = path.read_bytes()
    again = minimize(toy, start, optimizer=optimizer, steps=3, log=path, resume=True)
    assert same(short, again)
    assert path.read_bytes() == content


def test_maximize_resumes(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    maximize(toy, start, steps=5, log=path)
    toy.calls = 0
    resumed = maximize(toy, start, steps=10, log=path, resume=True)
    assert toy.calls == 5
    assert same(resumed, maximize(toy, start, steps=10))


def test_a_callback_sees_replayed_steps_and_stops_at_the_same_place(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"

    def callback(record):
        seen.append(record.value)
        return record.step == 6

    seen: list[float] = []
    minimize(toy, start, steps=3, log=path)
    result = minimize(toy, start, steps=20, log=path, resume=True, callback=callback)
    assert seen == result.history.value.tolist()
    assert result.message == "stopped by the callback at step 6"


@pytest.mark.parametrize("last", [0, 1, 3])
def test_a_line_torn_at_any_byte_is_written_again(toy, start, tmp_path, last):
    path = tmp_path / "run.jsonl"
    whole = minimize(toy, start, steps=3, log=path)
    content, lines = path.read_bytes(), lines_of(path)
    before = b"".join(lines[:last])
    for cut in range(0, len(lines[last]), 7):
        path.write_bytes(before + lines[last][:cut])
        resumed = minimize(toy, start, steps=3, log=path, resume=True)
        assert same(resumed, whole)
        assert path.read_bytes() == content


def test_a_whole_line_without_its_newline_is_torn_too(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    whole = minimize(toy, start, steps=3, log=path)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert same(minimize(toy, start, steps=3, log=path, resume=True), whole)
    assert path.read_bytes() == content


def test_a_long_torn_line_leaves_nothing_behind(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    whole = minimize(toy, start, steps=3, log=path)
    content = path.read_bytes()
    for kept in (len(content), len(b"".join(lines_of(path)[:3]))):
        path.write_bytes(content[:kept] + b"\0" * 10_000)
        assert same(minimize(toy, start, steps=3, log=path, resume=True), whole)
        assert path.read_bytes() == content


def test_resuming_a_log_that_does_not_exist_begins_it(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    result = minimize(toy, start, steps=3, log=path, resume=True)
    assert len(lines_of(path)) == 5
    assert same(result, minimize(toy, start, steps=3))


def test_a_log_without_evaluations_has_nothing_to_lose(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"
    minimize(toy, start, steps=3, log=path)
    lines = lines_of(path)
    for content in (b"", lines[0], lines[0][:40], lines[0] + lines[1][:20]):
        path.write_bytes(content)
        minimize(toy, start, optimizer=LBFGSB(), steps=0, log=path)
        assert json.loads(lines_of(path)[0])["optimizer"]["name"] == "l-bfgs-b"
        assert len(lines_of(path)) == 2


def test_a_plain_function_is_logged_and_resumed(tmp_path):
    path = tmp_path / "run.jsonl"
    first = minimize(lambda x: (x @ x, 2 * x), [1.0, -0.0], steps=4, log=path)
    assert json.loads(lines_of(path)[0])["program"] is None
    resumed = minimize(lambda x: 1 / 0, [1.0, -0.0], steps=4, log=path, resume=True)
    assert same(first, resumed)


def test_numbers_survive_bit_for_bit(tmp_path):
    path = tmp_path / "run.jsonl"
    numbers = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, math.pi, -1 / 3]
    f = lambda x: (numbers[3], np.array(numbers))  # noqa: E731
    first = minimize(f, numbers, steps=0, log=path)
    resumed = minimize(lambda x: 1 / 0, numbers, steps=0, log=path, resume=True)
    assert same(first, resumed)


# --- Refusals -----------------------------------------------------------------------------------


def refusal(toy, start, path, **options) -> str:
    """The message of a run that must be refused before it evaluates or writes anything."""
    content = path.read_bytes() if path.is_file() else None
    toy.calls = 0
    with pytest.raises(TrainingError) as caught:
        minimize(toy, start, **{"steps": 3, "log": path, **options})
    assert toy.calls == 0
    assert (path.read_bytes() if path.is_file() else None) == content
    return str(caught.value)


@pytest.fixture
def path(toy, start, tmp_path) -> Path:
    """A log with a header and four evaluations."""
    path = tmp_path / "run.jsonl"
    minimize(toy, start, steps=3, log=path)
    return path


def test_an_existing_log_is_never_overwritten(toy, start, path):
    assert refusal(toy, start, path) == (
        f"The log `{path}` exists already, evaluations in it: 4. "
        "Continue its run with resume=True, or give this run another log."
    )


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize(
    "content", [b"hello", b"hello\n", b"\n", b'{"a": 1}\n{"b": 2}\n', b"\0" * 100, b"\xff\n"]
)
def test_another_file_is_never_overwritten(toy, start, path, content, resume):
    path.write_bytes(content)
    message = refusal(toy, start, path, resume=resume)
    assert message == f"`{path}` is not a training log of qdiff. Give the log another name."


def different(path: Path, *what: str) -> str:
    lines = "".join(f"    {line}\n" for line in what)
    return (
        f"The log `{path}` belongs to another run:\n{lines}"
        "Resume with the settings of the log, or give this run another log."
    )


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"optimizer": Adam(lr=0.3)}, "optimizer: lr 0.3 here, 0.1 in the log"),
        (
            {"optimizer": GradientDescent()},
            'optimizer: name "gradient-descent" here, "adam" in the log; '
            "betas absent here, [0.9, 0.999] in the log; eps absent here, 1e-08 in the log",
        ),
        ({"x0": {"t": 1.5, "w": [0.2, -0.5], "n": 40}}, "x0, entry 2: -0.5 here, -0.6 in the log"),
        ({"x0": {"t": 1.5, "w": [0.2, -0.6], "n": 41}}, "fixed: n 41.0 here, 40.0 in the log"),
    ],
)
def test_a_log_of_another_run(toy, start, path, options, what):
    start = options.pop("x0", start)
    assert refusal(toy, start, path, resume=True, **options) == different(path, what)


def test_a_log_of_other_parameters(toy, start, path):
    assert refusal(toy, start, path, resume=True, wrt=["t", "w[0]"]) == different(
        path,
        "wrt: t, w[0] here, t, w[0], w[1] in the log",
        "x0: 1.5, 0.2 here, 1.5, 0.2, -0.6 in the log",
        "fixed: w[1] -0.6 here, absent in the log",
    )


def test_a_log_of_the_other_direction(toy, start, path):
    with pytest.raises(TrainingError) as caught:
        maximize(toy, start, steps=3, log=path, resume=True)
    assert str(caught.value) == different(path, "direction: maximize here, minimize in the log")


def test_a_log_of_another_observable(toy, start, path):
    toy.observable = "X[q]"
    assert refusal(toy, start, path, resume=True) == different(path, "observable: X[q] here, Z[q] in the log")


def test_a_log_of_another_program(toy, start, path):
    text = str(toy.program)
    toy.program = parse(text.replace("Rz", "Rx"))
    assert refusal(toy, start, path, resume=True) == different(
        path, "program, line 4: `Rx(w[0])[q];` here, `Rz(w[0])[q];` in the log"
    )
    toy.program = parse(text + "; if M[q] = 1 then H[q] fi")
    assert refusal(toy, start, path, resume=True) == different(
        path, "program, line 5: `Ry(w[1])[q];` here, `Ry(w[1])[q]` in the log"
    )


def test_programs_that_only_look_different_are_the_same(toy, start, path):
    toy.program = parse("# the same\n" + str(toy.program).replace(";", " ; "))
    minimize(toy, start, steps=5, log=path, resume=True)


def test_a_text_with_more_lines():
    from qdiff.train.header import differences

    assert differences({"program": "a\n b"}, {"program": "a"}) == [
        "program, line 2: `b` here, no such line in the log"
    ]


def test_a_log_of_a_program_does_not_serve_a_function(path):
    with pytest.raises(TrainingError) as caught:
        minimize(lambda x: (x @ x, 2 * x), {"t": 1.5}, steps=3, log=path, resume=True)
    message = str(caught.value)
    assert "program: none here, qubit: q" in message
    assert "observable: none here, Z[q] in the log" in message


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_altered_parameter_is_refused_even_where_its_checksum_fits(toy, start, tmp_path, optimizer):
    path = tmp_path / "run.jsonl"
    minimize(toy, start, optimizer=optimizer, steps=3, log=path)
    lines = lines_of(path)
    record = json.loads(lines[3])
    right = record["x"][0]
    record["x"][0] = wrong = float(np.nextafter(right, 9))
    path.write_bytes(b"".join([*lines[:3], sealed(record), *lines[4:]]))
    rest = f"w[0] = {record['x'][1]!r}, w[1] = {record['x'][2]!r}"
    assert refusal(toy, start, path, resume=True, optimizer=optimizer) == (
        f"{path}:4: evaluation 2 was logged at t = {wrong!r}, {rest}, "
        f"but the optimizer asks for t = {right!r}, {rest}. "
        "The log was altered, or made by other versions of the software: "
        "resume with those, or start again with another log."
    )


def test_an_altered_gradient_leads_elsewhere(toy, start, path):
    lines = lines_of(path)
    record = json.loads(lines[2])
    record["grad"][0] *= 1.5
    path.write_bytes(b"".join([*lines[:2], sealed(record), *lines[3:]]))
    message = refusal(toy, start, path, resume=True)
    assert message.startswith(f"{path}:4: evaluation 2 was logged at t = ")


def damaged(path: Path, number: int, why: str) -> str:
    return (
        f"{path}:{number}: this line of the log is damaged: {why}. "
        f"Cut the file before that line to resume from evaluation {number - 2}."
    )


@pytest.mark.parametrize("number", [2, 3, 5])
def test_any_altered_byte_is_found(toy, start, path, number):
    lines = lines_of(path)
    line = lines[number - 1]
    for place in range(0, len(line) - 1, 5):
        changed = line[:place] + bytes([line[place] ^ 1]) + line[place + 1 :]
        path.write_bytes(b"".join([*lines[: number - 1], changed, *lines[number:]]))
        expected = damaged(path, number, "its checksum does not fit")
        assert refusal(toy, start, path, resume=True) == expected


def test_following_the_advice_for_a_damaged_line(toy, start, path):
    whole, lines = path.read_bytes(), lines_of(path)
    path.write_bytes(b"".join([*lines[:3], b"garbage\n", *lines[4:]]))
    assert refusal(toy, start, path, resume=True) == damaged(path, 4, "its checksum does not fit")
    path.write_bytes(b"".join(lines[:3]))
    minimize(toy, start, steps=3, log=path, resume=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "its checksum does not fit"),
        (sealed({"evaluation": 1}), "it is no evaluation"),
        (sealed({"evaluation": 1, "x": [1, 2, 3], "value": "a", "grad": [1, 2, 3]}), "it is no evaluation"),
        (sealed({"evaluation": 1, "x": [1, [2], 3], "value": 1, "grad": [1, 2, 3]}), "it is no evaluation"),
        (
            sealed({"evaluation": 1, "x": [1, 10**400, 3], "value": 1, "grad": [1, 2, 3]}),
            "it is no evaluation",
        ),
        (
            sealed({"evaluation": 2, "x": [1, 2, 3], "value": 1, "grad": [1, 2, 3]}),
            "evaluation 1 belongs here",
        ),
        (
            sealed({"evaluation": 1, "x": [1, 2], "value": 1, "grad": [1, 2, 3]}),
            "it should hold 3 parameters",
        ),
        (sealed({"evaluation": 1, "x": [1, 2, 3], "value": math.nan, "grad": []}), "it is not a JSON object"),
    ],
)
def test_a_line_that_is_no_evaluation(toy, start, path, line, why):
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines[:2], line.rstrip(b"\n") + b"\n", *lines[3:]]))
    assert refusal(toy, start, path, resume=True) == damaged(path, 3, why)


def test_a_damaged_header(toy, start, path):
    lines = lines_of(path)
    for first, why in (
        (lines[0].replace(b"1.5", b"1.6"), "its checksum does not fit"),
        (lines[0][:60] + b"\n", "it is not a JSON object"),
        (lines[0][:31] + b", " + b"[" * 100_000 + b"\n", "it is not a JSON object"),
    ):
        path.write_bytes(b"".join([first, *lines[1:]]))
        assert refusal(toy, start, path, resume=True) == (
            f"{path}:1: this line of the log is damaged: {why}. Start again with another log."
        )


def test_a_log_of_a_later_format(toy, start, path):
    lines = lines_of(path)
    header = json.loads(lines[0]) | {"version": 2}
    path.write_bytes(b"".join([sealed(header), *lines[1:]]))
    assert refusal(toy, start, path, resume=True) == (
        f"The log `{path}` is written in version 2 of the format; this qdiff reads version 1."
    )


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (".", "The log `{}` is a folder. Name a file in it."),
        ("no/run.jsonl", "The log `{}` cannot be made: there is no folder `{parent}`."),
        ("file/run.jsonl", "The log `{}` cannot be opened: Not a directory."),
        ("a\0b", "The log `{}` cannot be opened: embedded null byte."),
        ("a" * 300, "The log `{}` cannot be opened: File name too long."),
    ],
)
def test_places_that_cannot_be_written(toy, start, tmp_path, place, message):
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError) as caught:
        minimize(toy, start, log=tmp_path / place)
    assert str(caught.value) == message.format(tmp_path / place, parent=(tmp_path / place).parent)
    assert toy.calls == 0


def test_a_log_that_is_no_path(toy, start):
    with pytest.raises(TrainingError) as caught:
        minimize(toy, start, log=3)
    assert str(caught.value) == "log=3 is not a path."


def test_a_full_disk_is_found_before_the_first_evaluation(toy, start):
    with pytest.raises(TrainingError) as caught:
        minimize(toy, start, log="/dev/full")
    assert str(caught.value) == (
        "The log `/dev/full` cannot be written: No space left on device. Nothing was run."
    )
    assert toy.calls == 0


def test_a_device_takes_a_log_but_cannot_be_resumed(toy, start):
    assert minimize(toy, start, steps=2, log=os.devnull).steps == 2
    with pytest.raises(TrainingError) as caught:
        minimize(toy, start, log=os.devnull, resume=True)
    assert str(caught.value) == f"The log `{os.devnull}` is not a regular file: it cannot be resumed."


ROOM_FOR_FIVE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from qdiff.errors import TrainingError
from qdiff.lang.text.parser import parse
from qdiff.train import minimize
try:
    minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], steps=9, log=sys.argv[1])
except TrainingError as error:
    print(error)
"""


def test_a_disk_that_fills_up_loses_nothing(tmp_path):
    path = tmp_path / "run.jsonl"
    whole = minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], steps=9, log=path)
    content, lines = path.read_bytes(), lines_of(path)
    path.unlink()
    room = len(b"".join(lines[:6])) + 10
    done = subprocess.run(
        [sys.executable, "-c", ROOM_FOR_FIVE, str(path), str(room)],
        env={**os.environ, "PYTHONPATH": str(Path(log_module.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == (
        f"The log `{path}` cannot be written: File too large. "
        "What was logged is kept: make room and resume.\n"
    )
    assert path.read_bytes()[:room] == content[:room]
    resumed = minimize(lambda x: (x @ x, 2 * x), [1.0, 2.0], steps=9, log=path, resume=True)
    assert same(resumed, whole)
    assert path.read_bytes() == content


def test_a_log_is_written_by_one_process_at_a_time(tmp_path):
    path = tmp_path / "run.jsonl"
    script = (
        "import sys\nfrom qdiff.errors import TrainingError\nfrom qdiff.train import minimize\n"
        "try:\n    minimize(lambda x: (x @ x, 2 * x), [1.0], steps=5, log=sys.argv[1], resume=True)\n"
        "except TrainingError as error:\n    print(error)\n"
    )
    said = []

    def meanwhile(record):
        if record.step == 2:
            done = subprocess.run(
                [sys.executable, "-c", script, str(path)],
                env={**os.environ, "PYTHONPATH": str(Path(log_module.__file__).parents[2])},
                capture_output=True,
                text=True,
                check=True,
            )
            said.append(done.stdout)

    minimize(lambda x: (x @ x, 2 * x), [1.0], steps=5, log=path, callback=meanwhile)
    assert said == [f"The log `{path}` is being written by another run. Wait for it, or give another log.\n"]
    assert len(lines_of(path)) == 7


def test_the_log_survives_what_is_not_finite(toy, start, tmp_path):
    path = tmp_path / "run.jsonl"

    def f(x):
        return (float(x @ x), 2 * x) if x[0] > 0.7 else (math.nan, x)

    for resume in (False, True):
        with pytest.raises(TrainingError) as caught:
            minimize(f, [1.0], optimizer=GradientDescent(lr=0.1), log=path, resume=resume)
        assert str(caught.value) == (
            "The value is nan at step 2, at x[0] = 0.64: training stops. "
            f"The log `{path}` keeps what came before."
        )
        assert len(lines_of(path)) == 3


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_a_run_that_fails_before_its_first_value_leaves_no_log(tmp_path, error):
    def f(x):
        raise error

    path = tmp_path / "run.jsonl"
    with pytest.raises(error):
        minimize(f, [1.0], log=path)
    assert not path.exists()
    path.touch()
    with pytest.raises(error):
        minimize(f, [1.0], log=path)
    assert path.exists()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_an_interrupt_closes_the_log_and_goes_on_up(toy, start, tmp_path, optimizer):
    path = tmp_path / "run.jsonl"
    whole = minimize(toy, start, optimizer=optimizer, steps=8)

    def interrupt(record):
        if record.step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(toy, start, optimizer=optimizer, steps=8, log=path, callback=interrupt)
    assert same(minimize(toy, start, optimizer=optimizer, steps=8, log=path, resume=True), whole)


def test_every_line_is_synced_before_the_run_goes_on(toy, start, tmp_path, monkeypatch):
    path, synced, real = tmp_path / "run.jsonl", [], os.fsync

    def fsync(descriptor):
        real(descriptor)
        if os.fstat(descriptor).st_size and not os.path.isdir(f"/dev/fd/{descriptor}"):
            synced.append(len(path.read_bytes().splitlines()))

    monkeypatch.setattr(log_module.os, "fsync", fsync)
    minimize(toy, start, steps=3, log=path, callback=lambda r: synced.append(f"step {r.step}"))
    assert synced == [1, 2, "step 0", 3, "step 1", 4, "step 2", 5, "step 3"]
