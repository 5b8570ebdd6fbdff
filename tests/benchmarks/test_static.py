"""The table of circuits without measurement can be made, and only what is right is timed. No goal is held."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers import assert_close

import qdiff as qd
from benchmarks import processes, static, static_contests, static_curves, static_profile
from benchmarks.figures import Figure, NotRun
from benchmarks.laws import Fitted, Law, constant, proportional
from benchmarks.peers.static import jax
from benchmarks.peers.static.circuit import Circuit, Step
from benchmarks.peers.static.lower import lower
from benchmarks.static_contests import PEERS, Contest, StaticPeer, fastest
from benchmarks.static_curves import Line, Panel
from benchmarks.workloads import ROOT, Workload, layered_ansatz, rotations

PRETENDER = """
import numpy as np
from benchmarks.peers.loop import Loop, Operation
from benchmarks.peers.static.serve import Ready, looped, serve

def value(circuit, w):
    loop = Loop(circuit.qubits, (), (), 0, 0)
    psi = np.eye(2**circuit.qubits)[0]
    for step in circuit.steps:
        psi = loop.matrix(Operation(step.name, step.target, step.controls, step.at(w))) @ psi
    found = 0.0
    for coefficient, word in circuit.terms:
        moved = psi
        for qubit, letter in word:
            moved = loop.matrix(Operation(letter.lower(), qubit)) @ moved
        found += coefficient * np.vdot(psi, moved).real
    return found

def right(circuit, off=0.0):
    print("chatter")
    def call(w):
        shifts = np.pi / 2 * np.eye(len(w))
        slopes = [(value(circuit, w + s) - value(circuit, w - s)) / 2 for s in shifts]
        return value(circuit, w), np.array(slopes) + off
    return Ready(call)

def broken(circuit):
    raise RuntimeError("no gradients")

ways = {"right": right, "wrong": lambda circuit: right(circuit, 1e-5), "broken": broken}
serve(lambda: "1.2", {**ways, "one by one": looped(right)})
"""


@pytest.fixture(autouse=True)
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_contests, "RUN_SECONDS", 1e-4)


@pytest.fixture
def python(tmp_path: Path) -> str:
    """An interpreter that is a pretended peer, whatever it is asked to run."""
    script, python = tmp_path / "pretender.py", tmp_path / "python"
    script.write_text(PRETENDER, encoding="utf-8")
    run = f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "{script}"\n'
    python.write_text(run, encoding="utf-8")
    python.chmod(0o755)
    return str(python)


def knows(monkeypatch: pytest.MonkeyPatch, *ways: str) -> None:
    """Peers have these ways."""
    monkeypatch.setattr(static_contests, "ways", lambda name, contest: list(ways))


def small(**options: object) -> Contest:
    return Contest(layered_ansatz(2, 1), 1.0, **options)  # type: ignore[arg-type]


# --- the table ---


def test_the_table_has_its_rows() -> None:
    found = [figure.name for figure in static.figures(5, "python")]
    for title in PEERS.values():
        assert sum(f"{title} ÷ qdiff" in name for name in found) == 6
    for part, count in (("complex64", 5), ("two threads ÷ one", 4), ("memory", 2), ("first call", 4)):
        assert sum(part in name for name in found) == count


def test_goals_are_those_of_the_issue() -> None:
    goals = [figure.goal for figure in static.contest_figures(5, "python") if "value" in figure.name]
    assert goals == [0.05, 0.2, 0.9, 12, 400, 4]
    assert static.contests()[-1].name == "ansatz, 4 qubits, 32 parameters, 1000 sets"
    assert static.contests()[-1].points.shape == (3, 1000, 32)
    assert [figure.goal for figure in static.memory_figures()] == [1.5, 3]


def test_memory_and_first_calls_are_of_new_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"layered_ansatz(24)": 1024.0, "layered_ansatz(22)": 400.0}
    asked: list[str] = []

    def printed(script: str, *_: object, **__: object) -> list[float]:
        asked.append(script)
        return [next((mib for text, mib in sizes.items() if text in script), 144.0)]

    monkeypatch.setattr(static, "printed", printed)
    value, adjoint = (figure.row() for figure in static.memory_figures())
    assert value.endswith("| 1.5 GiB | 1 GiB | met |")
    assert adjoint.endswith("| 3 state vectors | 4 state vectors | MISSED; 400 MiB; at 12 qubits 144 MiB |")
    assert ".value_and_grad(workload.params)" in asked[1]
    times = iter([[9.0, 1.0], [0.2, 0.1], [0.5, 0.1], [0.25, 0.1]])
    monkeypatch.setattr(processes, "printed", lambda *_, **__: next(times))
    installed, later, *_ = static.process_figures(2)
    assert installed.row().endswith("| 9 s | of it 1 s for importing Numba |")
    assert later.row().endswith("| 0.375 s | of it 0.1 s for importing Numba |")


# --- qdiff alone ---


def test_times_of_qdiff() -> None:
    assert static.alone(small(), 5).number > 0
    assert static.alone(small(sets=3), 5).note.startswith("engine ")
    found = static.single_beside_double(small(), small(), 5)
    assert found.number > 0
    assert found.note.endswith("errors: value 0.0e+00, gradient 0.0e+00")


def test_one_core_is_given_back() -> None:
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    with static_contests.one_core():
        assert before is None or os.sched_getaffinity(0) == {max(before)}
    assert before is None or os.sched_getaffinity(0) == before


def test_slow_calls_are_repeated_five_times() -> None:
    assert [static_contests.repeats(seconds, 7) for seconds in (0.1, 2.0)] == [7, 5]


# --- peers ---


@pytest.mark.parametrize("sets", [1, 3])
def test_a_right_peer_is_timed(python: str, sets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "right" if sets == 1 else "one by one", "wrong", "broken")
    found = static.beside_peer(small(sets=sets), "jax", python, 5)
    assert found.number > 0
    assert found.note.startswith("JAX 1.2, right: " if sets == 1 else "JAX 1.2, one by one: ")
    assert ("wrong is WRONG: value off by" in found.note) == (sets == 1)  # it fails on several
    assert "broken" not in found.note


def test_a_wrong_answer_is_not_timed(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "wrong")
    row = Figure("÷", "", 1, lambda: static.beside_peer(small(), "jax", python, 5)).row()
    assert row.startswith("| ÷ | 1 | not run | WRONG: value off by ")
    assert row.endswith("gradient by 1e-05 |")


def test_a_peer_that_is_wrong_later_is_not_timed() -> None:
    contest = small()
    value, gradient = contest.expected[0]
    answers = iter([1, 1, 1, 1, 2, 3, 4])

    def other(calls: int) -> static_contests.Answer:
        return static_contests.Answer(1.0, 0, value + 1e-7 * (next(answers) > 2), gradient)

    with pytest.raises(NotRun, match=r"^WRONG: value off by 1e-07, gradient by 0$"):
        static_contests.beside(contest, other, 7)


def test_answers_of_another_shape_or_no_number_are_wrong() -> None:
    contest = small()
    value, gradient = contest.expected[0]
    for answer in ((value, gradient[:-1]), (float("nan"), gradient), (value, [])):
        with pytest.raises(NotRun, match=r"^WRONG"):
            contest.hold(0, *answer)
    contest.hold(0, value, gradient.tolist())


def test_every_way_that_fails_says_why(python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "broken", "wrong")
    with pytest.raises(NotRun, match=r"^fails: RuntimeError: no gradients; WRONG: value off by"):
        fastest("jax", small(), python)
    knows(monkeypatch)
    with pytest.raises(NotRun, match=r"^it has no way to compute this$"):
        fastest("jax", small(), python)


def test_a_peer_ends_with_its_block(python: str) -> None:
    with StaticPeer.start("jax", "right", small(), python) as peer:
        answer = peer.run(4)
        assert (answer.point, peer.version, peer.way) == (0, "1.2", "right")
        assert answer.memory_mib > 1
    assert peer.process.returncode is not None


@pytest.mark.parametrize("peer", PEERS)
def test_a_missing_peer_is_not_run(peer: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A folder in front of all others, whose modules say that they are not installed.
    module = {"lightning": "pennylane_lightning"}.get(peer, peer)
    raises = f"raise ModuleNotFoundError({module!r}, name={module!r})"
    (tmp_path / f"{module}.py").write_text(raises, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    row = Figure("÷", "", 1, lambda: static.beside_peer(small(), peer, sys.executable, 5)).row()
    assert row == f"| ÷ | 1 | not run | `{module}` is not installed |"


def test_a_peer_that_crashes_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knows(monkeypatch, "right")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
    python.chmod(0o755)
    with pytest.raises(NotRun, match=r"^its process ended with status 3$"):
        fastest("jax", small(), str(python))


@pytest.mark.parametrize("peer", PEERS)
def test_peers_have_ways_for_one_set_and_for_many(peer: str) -> None:
    assert static_contests.ways(peer, small())
    assert static_contests.ways(peer, small(sets=2))


# --- what peers are given ---


def test_peers_are_given_the_circuit() -> None:
    circuit = lower(layered_ansatz(3, 2))
    assert Circuit.from_json(circuit.to_json()) == circuit
    assert (circuit.qubits, circuit.parameters, len(circuit.steps), len(circuit.terms)) == (3, 12, 16, 5)
    assert circuit.steps[:2] == (Step("ry", 0, (), 0), Step("rz", 0, (), 1))
    assert circuit.steps[6] == Step("x", 1, (0,))
    assert [step.at([7.0]) for step in (Step("rx", 0, (), 0), Step("rx", 0, (), None, 0.5))] == [7.0, 0.5]


def test_gates_on_a_qubit_belong_together() -> None:
    circuit = lower(layered_ansatz(2, 1))
    assert [len(run) for run in circuit.runs()] == [2, 2, 1]
    mixed = Circuit(2, 0, (Step("h", 0), Step("x", 1, (0,)), Step("z", 0), Step("y", 0)), ())
    assert [[step.name for step in run] for run in mixed.runs()] == [["h"], ["x"], ["z", "y"]]


def test_equal_layers_are_found() -> None:
    layer, count = jax.one_layer(lower(layered_ansatz(3, 4)))
    assert (count, layer.parameters, len(layer.steps)) == (4, 6, 8)
    once = lower(rotations(3, qubits=2))
    assert jax.one_layer(once)[1] in (1, 3)
    control, target = np.array([0, 1, 3, 2]), np.array([0, 3, 2, 1])
    assert jax.permuted(Step("x", 1, (0,)), 2).tolist() == control.tolist()
    assert jax.permuted(Step("x", 0, (1,)), 2).tolist() == target.tolist()


@pytest.mark.parametrize(
    ("text", "observable", "message"),
    [
        (
            "qubit: q para: t Ry(2*t)[q]",
            "Z[q]",
            r"peers have no such Ry: they know X, Y, Z, H, Rx, Ry, Rz by a parameter",
        ),
        ("qubit: q para: t Ry(t)[q]; T[q]", "Z[q]", r"peers have no such T: they know"),
        ("qubit: q q := |0>", "Z[q]", r"peers have no such Reset: they know"),
        ("qubit: q para: t Ry(t)[q]", "P1[q]", r"peers have no operator P1"),
    ],
)
def test_other_circuits_are_refused(text: str, observable: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        lower(Workload("another", qd.parse(text), {"t": 1.0}, observable))


def test_some_rotations_have_parameters() -> None:
    few, all_of_them = rotations(3, gates=30, qubits=3), rotations(30, qubits=3)
    assert [len(one.program.trainable) for one in (few, all_of_them)] == [3, 30]
    assert len(few.program.body) == len(all_of_them.program.body) == 60
    assert few.name == "3 of 30 rotations, 3 qubits"


# --- where time goes ---


def test_the_profile_says_where_time_goes() -> None:
    rows = static_profile.overhead(layered_ansatz(8), 3)
    assert rows[0].startswith("ansatz, 8 qubits, 64 parameters: ")
    shares = [float(row.split()[-2]) for row in rows if row.endswith("%")]
    assert_close(sum(shares), 100.0, 0.01)
    assert any("compiled functions" in row for row in rows)
    large = static_profile.work(layered_ansatz(8))
    assert [row.split(" (")[0].strip().split("  ")[0] for row in large[3:6]] == [
        "forward",
        "observable",
        "backward, all derivatives",
    ]


def test_functions_belong_to_layers() -> None:
    for file, title in (
        ("qdiff/lang/parameters.py", "reading parameters"),
        ("qdiff/objective/scalar.py", "objective"),
        ("qdiff/sim/static/engine.py", "engine"),
        ("qdiff/sim/flow.py", "engine, shared parts"),
    ):
        assert static_profile.layer(str(ROOT / file), "f") == title
    assert static_profile.layer("/usr/lib/python/functools.py", "f") == "other"
    assert static_profile.layer(static_profile.__file__, "compiled") == static_profile.COMPILED


# --- curves ---


def test_a_law_is_fitted() -> None:
    law = Law((("", constant), ("P", proportional), ("P²", lambda x: x * x)))
    sizes = (1.0, 10.0, 100.0, 1000.0)
    fitted = law.fit(sizes, [2e-6 + 3e-9 * x for x in sizes])
    assert_close(fitted(50.0) / (2e-6 + 1.5e-7), 1.0, 1e-6)
    assert fitted.worst < 1e-6
    assert law.fit(sizes, [5e-3] * 4).worst < 1e-6
    assert Fitted(law, (2e-6, 3e-9, 0.0)).text == "2 µs + 3 ns · P"
    assert Fitted(law, (0.0, 0.0, 4.2e-3)).text == "4.2 ms · P²"
    assert Fitted(law, (0.0, 0.0, 0.0)).text == "0"
    off = law.fit(sizes, [1e-6, 1e-6, 2e-6, 1e-6])
    assert off.worst > 0.3


def test_the_curves_are_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law = Law((("", constant), ("P", proportional)))
    panels = (
        Panel("qubits, n", [Line("value", (4, 6), lambda n: 1e-3 * n, law)]),
        Panel("parameters, P", [Line("one", (1, 10), lambda n: 1e-3, law, dotted=True)]),
    )
    static_curves.draw(panels, tmp_path / "new" / "static.png")
    assert (tmp_path / "new" / "static.png").read_bytes().startswith(b"\x89PNG")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["qubits, n: value", "         4           4 ms", "         6           6 ms"]
    assert lines[3] == "  1 ms · P   (off by 0 % at most)"
    assert lines[-2] == "  1 ms   (off by 0 % at most)"


def test_the_curves_are_those_of_the_issue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(static_curves, "RUN_SECONDS", 1e-6)
    monkeypatch.setattr(static_curves, "REPEAT", 1)
    panels = static_curves.panels(24)
    reach = [
        (panel.quantity, min(line.sizes), max(line.sizes)) for panel in panels for line in panel.lines[:1]
    ]
    assert reach == [
        ("qubits, n", 4, 24),
        ("qubits, n, by threads", 10, 24),
        ("parameters, P", 1, 1000),
        ("terms of the observable, T", 1, 10_000),
        ("sets of parameters", 1, 10_000),
    ]
    assert static_curves.over_qubits(1, static_curves.VALUE, 4) > 0
    assert static_curves.over_sets(4, 2) > 0
    assert static_curves.of(partial(rotations, qubits=2), static_curves.GRADIENT, 3) > 0
    monkeypatch.setattr(static_curves, "TERM_QUBITS", 3)
    assert static_curves.over_terms("XYZ", 3) > 0


def test_strings_are_different_and_flip_as_expected() -> None:
    for letters in ("Z", "XYZ"):
        assert len(set(static_curves.strings(letters, 300).paulis.to_labels())) == 300
    words = static_curves.strings("XYZ", 3000).paulis.to_labels()
    masks = {tuple(letter in "XY" for letter in word) for word in words}
    assert abs(len(masks) / static_curves.flips(3000) - 1) < 0.05
