"""Noise models: which gate has which noise, how a model is written, and what is refused."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang import noise
from qdiff.lang.noise.model import NoiseModel
from qdiff.lang.text.parser import parse

PROGRAM = parse("qubit: q, r, s para: t count: c H[q]; CNOT[q, r]; C_Ry(t)[q][r]; q := |0>; c := M[q]")
GIVEN = {
    "H": {"X": 0.1, "Z": 0.2},
    "CNOT": [{"depolarize": 0.1}, {"ZI": 0.3, "on": [1, 0]}, noise.depolarize(0.25, 2)],
    "C_Ry[q][r]": "qubit: a, b para: eps, w[2] if flip(eps*w[1]) then X[a]; Z[b] fi",
    "reset": noise.bit_flip(0.05).on(0),
    "*": [],
}
MODEL = NoiseModel(GIVEN, {"q": (0.1, 0.2), "*": [0, 0.3]})


def after(gates: dict[str, object], text: str) -> str:
    """The noise of one statement, as a text of one line."""
    program = parse(f"qubit: q, r, s, d[2] para: t {text}")
    noisy = NoiseModel(gates).apply(program)
    body = parse(f"qubit: q, r, s, d[2] para: t skip; {text}").body
    assert noisy.body[0] == body[1]
    return " ".join(str(noisy).split(";\n", 1)[1].split()) if len(noisy.body) > 1 else ""


def named(*names: str) -> dict[str, object]:
    """A model in which the probability says which key was taken: the first 0.1, the second 0.2, …"""
    return {name: {"dephase": (i + 1) / 10} for i, name in enumerate(names)}


@pytest.mark.parametrize(
    ("keys", "text", "taken"),
    [
        (("H", "*"), "H[q]", "dephase(0.1)[q]"),
        (("X", "*"), "H[q]", "dephase(0.2)[q]"),
        (("X", "Y"), "H[q]", ""),
        (("H", "H[q]", "*[q]"), "H[q]", "dephase(0.2)[q]"),
        (("H", "H[r]"), "H[q]", "dephase(0.1)[q]"),
        (("*", "*[q]"), "H[q]", "dephase(0.2)[q]"),
        (("H", "*[q]"), "H[q]", "dephase(0.1)[q]"),
        (("X", "CNOT"), "CNOT[q, r]", "dephase(0.2)[q]; dephase(0.2)[r]"),
        (("CNOT[r, q]", "CNOT"), "CNOT[q, r]", "dephase(0.2)[q]; dephase(0.2)[r]"),
        (("CNOT [ q , r ]", "CNOT"), "CNOT[q, r]", "dephase(0.1)[q]; dephase(0.1)[r]"),
        (("C_X", "*"), "CNOT[q, r]", "dephase(0.1)[q]; dephase(0.1)[r]"),
        (("C_X", "CNOT"), "CNOT[q, r]", "dephase(0.2)[q]; dephase(0.2)[r]"),
        (("C_X", "CNOT"), "CCNOT[q, r, s]", "dephase(0.1)[q]; dephase(0.1)[r]; dephase(0.1)[s]"),
        (("Ry", "C_Ry[q][r]"), "C_Ry(t)[q][r]", "dephase(0.2)[q]; dephase(0.2)[r]"),
        (("C_Ry[q, r]",), "C_Ry(t)[q][r]", "dephase(0.1)[q]; dephase(0.1)[r]"),
        (("R_XZ", "Rxx"), "R_XZ(t)[q, r]", "dephase(0.1)[q]; dephase(0.1)[r]"),
        (("H[d[1]]", "H"), "H[d[1]]", "dephase(0.1)[d[1]]"),
        (("reset", "*"), "q := |0>", "dephase(0.1)[q]"),
        (("reset", "reset[q]"), "q := |0>", "dephase(0.2)[q]"),
        (("*",), "q := |0>", ""),
        (("*",), "depolarize(0.5)[q]", ""),
    ],
)
def test_the_key_that_says_most_counts(keys: tuple[str, ...], text: str, taken: str) -> None:
    assert after(named(*keys), text) == taken


def test_places() -> None:
    assert after({"CNOT": noise.damp(0.1).on(1)}, "CNOT[q, r]") == "damp(0.1)[r]"
    assert after({"C_Ry": {"damp": 0.1, "on": 0}}, "C_Ry(t)[q, s][r]") == "damp(0.1)[q]"
    flipped = "if flip(0.1) then X[s]; Z[q] fi"
    assert after({"CCNOT": {"XZ": 0.1, "on": [2, 0]}}, "CCNOT[q, r, s]") == flipped
    assert after({"H": []}, "H[q]") == ""


def test_declared_gates_have_noise() -> None:
    program = parse("qubit: q, r gate G[a] = [[0, 1], [1, 0]] G[q]; C_G[q][r]")
    noisy = NoiseModel({"G": {"damp": 0.1}, "C_G": {"dephase": 0.2}}).apply(program)
    assert str(noisy).endswith("G[q];\ndamp(0.1)[q];\nC_G[q][r];\ndephase(0.2)[q];\ndephase(0.2)[r]\n")


def test_the_whole_of_a_program() -> None:
    program = parse(
        "qubit: q, r para: t count: c\n"
        "Ry(t)[q]; r := |0>;\n"
        "while{3} not M[q] = 1 do c := M[r, q]; if M[q, r] = 2 and c < 1 then H[q] else abort fi od;\n"
        "case M[r] of 0: X[q] | 1: skip esac"
    )
    gates = {"H": {"Z": 0.1}, "X": "qubit: a para: eps if flip(eps) then Y[a] fi"}
    noisy = NoiseModel(gates, {"q": (0.2, 0), "r": (0.3, 0.4)}).apply(program)
    assert str(noisy) == GOLDEN
    assert noisy.source is program.source


GOLDEN = """\
qubit: q, r
para: t, eps
count: c, recorded
Ry(t)[q];
r := |0>;
while{3} not (M[q] = 1 or (M[q] = 0 and flip(0.2))) do
    c := M[r, q];
    if M[r] = 0 then
        if flip(0.3) then
            c := c + 1
        fi
    else
        if flip(0.4) then
            c := c - 1
        fi
    fi;
    if M[q] = 0 then
        if flip(0.2) then
            c := c + 2
        fi
    fi;
    if (M[q, r] = 2 or not M[q, r] = 2) and M[q] = 0 and flip(1 - 0.2) and ((M[r] = 1 and flip(1 - 0.4)) or \
(M[r] = 0 and flip(0.3))) and c < 1 then
        H[q];
        if flip(0.1) then
            Z[q]
        fi
    else
        abort
    fi
od;
recorded := M[r];
if recorded = 0 then
    if flip(0.3) then
        recorded := recorded + 1
    fi
else
    if flip(0.4) then
        recorded := recorded - 1
    fi
fi;
if recorded = 0 then
    X[q];
    if flip(eps) then
        Y[q]
    fi
else
    if recorded = 1 then
        skip
    fi
fi
"""


def test_invented_names_are_new() -> None:
    program = parse("qubit: recorded, r para: recorded2 count: c case M[r] of 0: X[recorded] esac")
    model = NoiseModel({"X": "qubit: a para: recorded3 depolarize(recorded3)[a]"}, (0.1, 0.1))
    assert model.apply(program).counters == ("c", "recorded4")
    assert model.apply(program).parameters == ("recorded2", "recorded3")


def test_read_outs_by_array() -> None:
    program = parse("qubit: d[2], e if M[d[1]] = 0 and M[e] = 0 then skip fi")
    noisy = NoiseModel(readout={"d": (0.1, 0), "d[0]": (0.5, 0.5)}).apply(program)
    assert "if M[d[1]] = 0 and flip(1 - 0.1) and M[e] = 0 then" in str(noisy)


# --- As data ------------------------------------------------------------------------------------


def test_models_are_values() -> None:
    assert NoiseModel(dict(reversed(GIVEN.items())), {"*": (0.0, 0.3), "q": (0.1, 0.2)}) == MODEL
    assert hash(NoiseModel.from_dict(MODEL.to_dict())) == hash(MODEL)
    assert NoiseModel() != MODEL
    with pytest.raises(AttributeError):
        MODEL.gates = ()  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(MODEL)) == MODEL
    assert MODEL.apply(PROGRAM).parameters == ("t", "eps", "w[0]", "w[1]")


def test_the_canonical_form() -> None:
    form = MODEL.to_dict()
    assert form == {
        "gates": {
            "*": [],
            "C_Ry[q, r]": ["qubit: a, b\npara: eps, w[2]\nif flip(eps*w[1]) then\n    X[a];\n    Z[b]\nfi\n"],
            "CNOT": [
                {"depolarize": 0.1},
                {"ZI": 0.3, "on": [1, 0]},
                "qubit: a, b\nif flip(0.25) then\n    depolarize(1)[a];\n    depolarize(1)[b]\nfi\n",
            ],
            "H": [{"X": 0.1, "Z": 0.2}],
            "reset": [{"X": 0.05, "on": [0]}],
        },
        "readout": {"*": [0.0, 0.3], "q": [0.1, 0.2]},
    }
    again = NoiseModel.from_dict(json.loads(json.dumps(form)))
    assert again == MODEL
    assert str(again) == str(MODEL)
    assert json.loads(str(MODEL)) == form
    assert repr(MODEL) == f"NoiseModel.from_dict({form!r})"
    assert again.apply(PROGRAM) == MODEL.apply(PROGRAM)


def test_programs_with_places_keep_both() -> None:
    form = {
        "gates": {"CNOT": [{"program": "qubit: a\nif flip(0.5) then\n    H[a]\nfi\n", "on": [1]}]},
        "readout": {},
    }
    assert NoiseModel.from_dict(form).to_dict() == form


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "noise.json"
    path.write_text(str(MODEL))
    assert NoiseModel.load(path) == MODEL


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "noise.json:1:2: the text is not JSON: Expecting property name enclosed in double quotes."),
        ("[]", 'noise.json: A noise model is a mapping {"gates": …, "readout": …}, got list.'),
        (
            '{"gate": {}}',
            "noise.json: A noise model has no 'gate'. It has: gates, readout. Did you mean `gates`?",
        ),
        ('{"gates": {"H": [], "H": []}}', "noise.json: the key 'H' stands twice in one object."),
        ("[" * 100_000, "noise.json: the text is nested too deep."),
        ("", "`noise.json` is empty: it holds no noise model."),
    ],
)
def test_files_that_hold_no_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("noise.json").write_text(text)
    with pytest.raises(QdiffError) as caught:
        NoiseModel.load("noise.json")
    assert str(caught.value) == message


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gates", "readout", "message"),
    [
        ([], None, "The gates of a noise model are a mapping from gates to channels, got list."),
        (
            {"H(0.1)": []},
            None,
            "Noise belongs to a gate, given as in a program without angles: `CNOT`, `CNOT[q, r]`, "
            '`C_Ry[q][r]`; to "*", all others; or to "reset". Got \'H(0.1)\'.',
        ),
        ({"CNOT[q, q]": []}, None, "A qubit stands twice in `CNOT[q, q]`."),
        ({"CNOT[q,r]": [], "CNOT[q, r]": []}, None, "The noise of `CNOT[q, r]` is given twice."),
        ({"CNOT[q]": []}, None, "`CNOT` acts on 2 qubits, got 1 in `CNOT[q]`."),
        ({"reset[q, r]": []}, None, "`reset` acts on 1 qubit, got 2 in `reset[q, r]`."),
        (
            {"H": {"X": 1.5}},
            None,
            "The noise of `H`: the probability of `X` is 1.5, outside [0, 1].",
        ),
        (
            {"H": {"X": 0.7, "Z": 0.7}},
            None,
            "The noise of `H`: the probabilities of X, Z add up to 1.4, more than 1.",
        ),
        (
            {"H": {"bitflip": 0.7}},
            None,
            "The noise of `H`: a mapping holds words of the letters I X Y Z 0 1 with their probabilities, "
            "or one "
            'of dephase, depolarize, damp, or "program", and "on" besides; got the keys \'bitflip\'.',
        ),
        (
            {"H": {"dephase": 0.1, "damp": 0.1}},
            None,
            "The noise of `H`: a mapping holds words of the letters I X Y Z 0 1 with their probabilities, "
            "or one "
            'of dephase, depolarize, damp, or "program", and "on" besides; got the keys \'dephase\', '
            "'damp'.",
        ),
        (
            {"H": 0.1},
            None,
            'The noise of `H`: a channel is a mapping such as {"X": 0.01} or {"depolarize": 0.01}, a '
            "program or "
            "its text, or made by qd.noise; got 0.1.",
        ),
        (
            {"H": {"XX": 0.1}},
            None,
            "The noise of `H` acts on 2 qubits, and the gate has 1 qubit. Say which ones are meant: "
            "channel.on(0, 1).",
        ),
        (
            {"CNOT": {"X": 0.1, "on": 2}},
            None,
            "The noise of `CNOT` acts on qubit 2 of the gate, counted from 0, and the gate has 2 qubits.",
        ),
        (
            {"H": "qubit: a para: p dephase(p)[a]", "X": "qubit: a para: p[2] dephase(p[0])[a]"},
            None,
            "Two channels have the parameter `p`, as arrays of different sizes or only one of them as an "
            "array.",
        ),
        (
            None,
            0.1,
            "The read-out error of `*` is a pair of probabilities, that a 0 is read as 1 and that a 1 is "
            "read as "
            "0, such as (0.02, 0.05); got 0.1.",
        ),
        (None, (0.1, 1.1), "The probability that 1 of `*` is read as 0 is 1.1, outside [0, 1]."),
        (
            None,
            {"q r": (0.1, 0.1)},
            '\'q r\' is no name of a qubit. Names look like "q", or "data[2]" in an array.',
        ),
    ],
)
def test_what_is_no_model(gates: object, readout: object, message: str) -> None:
    with pytest.raises(QdiffError) as caught:
        NoiseModel(gates, readout)
    assert str(caught.value) == message


def test_faults_in_the_text_of_a_channel_keep_their_place() -> None:
    with pytest.raises(QdiffSyntaxError) as caught:
        NoiseModel({"H": "qubit: a\ndepolarise(0.1)[a]"})
    assert str(caught.value).startswith(
        "The noise of `H`: <noise channel>:2:1: there is no gate or procedure"
    )
    assert (caught.value.line, caught.value.column) == (2, 1)
    assert caught.value.hint == "Did you mean `depolarize`?"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            NoiseModel({"cx": {"X": 0.1}}),
            "The noise model names the gate `cx`, which is neither a gate of the language nor declared by "
            "the "
            "program. Did you mean `CNOT`?",
        ),
        (
            NoiseModel({"C_Gate": {"X": 0.1}}),
            "The noise model names the gate `C_Gate`, which is neither a gate of the language nor declared "
            "by the "
            "program. Did you mean `Gates`?",
        ),
        (
            NoiseModel({"H[qq]": {"X": 0.1}}),
            "The noise model has noise of `H[qq]`, and `qq` is not a qubit of the program. Qubits: q, r, s. "
            "Did "
            "you mean `q`?",
        ),
        (
            NoiseModel(readout={"rr": (0.1, 0)}),
            "The noise model has a read-out error of `rr`, which is not a qubit of the program. Qubits: q, "
            "r, s. "
            "Did you mean `r`?",
        ),
        (
            NoiseModel({"C_Ry": {"XXX": 0.1}}),
            "The noise of `C_Ry(t)[q][r]` acts on 3 qubits, and the gate has 2 qubits. Say which ones are "
            "meant: "
            "channel.on(0, 1).",
        ),
        (
            NoiseModel({"*": {"X": 0.1, "on": 1}}),
            "The noise of `H[q]` acts on qubit 1 of the gate, counted from 0, and the gate has 1 qubit.",
        ),
        (
            NoiseModel({"H": "qubit: a para: t dephase(t)[a]"}),
            "The noise model has a parameter `t`, and the program declares a `t` of its own: give one of "
            "them "
            "another name.",
        ),
    ],
)
def test_models_that_do_not_fit_a_program(model: NoiseModel, message: str) -> None:
    program = parse("qubit: q, r, s para: t count: c gate Gates[a] = [[1, 0], [0, 1]] H[q]; C_Ry(t)[q][r]")
    with pytest.raises(QdiffError) as caught:
        model.apply(program)
    assert str(caught.value) == message


def test_other_refusals() -> None:
    with pytest.raises(QdiffError, match=r"^Noise is applied to a Program, got str\.$"):
        MODEL.apply("qubit: q H[q]")
    program = parse("qubit: q gate reset[a] = [[1, 0], [0, 1]] reset[q]")
    with pytest.raises(QdiffError, match="The program declares a gate `reset`, which in a noise model means"):
        NoiseModel().apply(program)


def test_programs_that_would_nest_too_deep() -> None:
    arms = " | ".join(f"{i}: X[q[0]]" for i in range(510))
    program = parse(f"qubit: q[9] case M[{', '.join(f'q[{i}]' for i in range(9))}] of {arms} esac")
    with pytest.raises(QdiffError, match="statements are nested more than 500 deep"):
        NoiseModel(readout=(0.1, 0.1)).apply(program)
