"""`--noise`: the program is made noisy before anything is done with it."""

from __future__ import annotations

import pytest

import qdiff as qd

NOISE = qd.NoiseModel({"Ry": {"depolarize": 0.1}}, readout=(0.02, 0.05))
STRENGTH = qd.NoiseModel({"Ry": "qubit: a para: p[1] depolarize(p[0])[a]"})


@pytest.fixture(autouse=True)
def models(folder):
    (folder / "noise.json").write_text(str(NOISE))
    (folder / "strength.json").write_text(str(STRENGTH))


def test_value_and_grad(done):
    words = ("turn.qprog", "-O", "Z[q]", "-p", "t=0.3", "--noise", "noise.json", "--json")
    f = qd.expectation(qd.load("turn.qprog"), "Z[q]", noise=NOISE)
    assert done("value", *words).data["value"] == f([0.3])
    assert done("grad", *words).data["grad"] == {"t": f.grad([0.3])[0]}
    estimate = done("value", *words, "--shots", "500", "--seed", "3").data
    assert estimate["value"] == f.estimate([0.3], shots=500, seed=3).value


def test_the_strength_of_noise_from_the_command_line(done, qdiff):
    words = ("turn.qprog", "-O", "Z[q]", "-p", "t=0.3", "-p", "p=0.2", "--noise", "strength.json", "--json")
    f = qd.expectation(qd.load("turn.qprog"), "Z[q]", noise=STRENGTH)
    assert done("grad", *words).data["grad"] == {"t": f.grad([0.3, 0.2])[0], "p[0]": f.grad([0.3, 0.2])[1]}
    trained = qdiff("train", *words, "--wrt", "t", "--steps", "2").data["params"]
    assert trained["p[0]"] == 0.2
    assert trained["t"] > 0.3
    assert done("run", "turn.qprog", *words[3:], "--shots", "10").data["shots"] == 10


def test_run(done):
    samples = qd.sample(qd.load("turn.qprog"), [0.3], shots=200, seed=5, noise=NOISE)
    words = ("-p", "t=0.3", "--shots", "200", "--seed", "5", "--noise", "noise.json")
    assert done("run", "turn.qprog", *words, "--json").data["counts"] == samples.counts


def test_show(done):
    assert done("show", "turn.qprog", "--noise", "noise.json").out == str(NOISE.apply(qd.load("turn.qprog")))


@pytest.mark.parametrize("command", [["run"], ["value", "-O", "1"], ["grad", "-O", "1"], ["show"]])
def test_bad_noise(refused, folder, command):
    (folder / "bad.json").write_text('{"gates": {"H": {"X": 2}}}')
    assert refused(*command, "turn.qprog", "--noise", "bad.json") == (
        "bad.json: The noise of `H`: the probability of `X` is 2.0, outside [0, 1]."
    )
    assert refused(*command, "turn.qprog", "--noise", "none.json") == "There is no file `none.json`."
    (folder / "other.json").write_text('{"gates": {"cx": {"XX": 0.2}}}')
    assert refused(*command, "turn.qprog", "--noise", "other.json").startswith(
        "The noise model names the gate `cx`, which is neither a gate of the language nor declared"
    )
