"""Programs from files, and the registry of readers and writers."""

from __future__ import annotations

import os
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from qdiff.errors import QdiffError, QdiffSyntaxError
from qdiff.lang import formats
from qdiff.lang.formats import GROUP, Registry, drawers, readers, writers
from qdiff.lang.load import load
from qdiff.lang.text.parser import parse
from qdiff.lang.tree import Program


def refused(path: Path | str) -> str:
    with pytest.raises(QdiffError) as caught:
        load(path)
    return str(caught.value)


# --- Files --------------------------------------------------------------------------------------


def test_a_program_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "walk with spaces.qprog"
    path.write_bytes(b"\xef\xbb\xbfqubit: q  # \xc3\xa4\r\nH[q]\r\n")
    for given in (path, str(path)):
        program = load(given)
        assert program == parse("qubit: q H[q]")
        assert program.source is not None
        assert program.source.name == str(path)


def test_suffixes_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "A.QPROG"
    path.write_text("qubit: q skip")
    assert load(path) == parse("qubit: q skip")


def test_errors_name_the_file_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "walk.qprog").write_text("qubit: u1\nH[u3]\n")
    with pytest.raises(QdiffSyntaxError) as caught:
        load("walk.qprog")
    assert str(caught.value) == (
        "walk.qprog:2:3: qubit `u3` is not declared. Declared: u1. Did you mean `u1`?\n    H[u3]\n      ^^"
    )


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "missing.qprog"
    assert refused(missing) == f"There is no file `{missing}`."
    assert refused(tmp_path) == f"`{tmp_path}` is a directory, not a file with a program."
    below = tmp_path / "a.qprog" / "b.qprog"
    (tmp_path / "a.qprog").write_text("qubit: q skip")
    assert refused(below) == f"`{below}` cannot be read: Not a directory."
    assert refused("a\0.qprog") == "`a\0.qprog` cannot be read: embedded null byte."
    long = "x" * 5000 + ".qprog"
    assert refused(long) == f"`{long}` cannot be read: File name too long."
    assert refused(os.devnull) == f"`{os.devnull}` is not a regular file."


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.qprog"
    path.write_text("qubit: q skip")

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refused(path) == f"`{path}` cannot be read: Permission denied."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "`{}` is empty: it holds no program."),
        (b" \r\n\t\n", "`{}` is empty: it holds no program."),
        (b"qubit: q\0", "`{}` is a binary file, not a text."),
        (b"\x7fELF\x02\x01\x01\0\0\0", "`{}` is a binary file, not a text."),
        (b"qubit: q\nskip \xff", "`{}` is not UTF-8 text: byte 0xff in line 2."),
        (b"# caf\xe9\nqubit: q skip", "`{}` is not UTF-8 text: byte 0xe9 in line 1."),
        ("qubit: q skip".encode("utf-16"), "`{}` is encoded as UTF-16; save it as UTF-8."),
        (b"(" * 10_000_000, "`{}` is larger than 5 MB, the limit for a program."),
    ],
)
def test_contents_that_are_no_text(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.qprog"
    path.write_bytes(content)
    assert refused(path) == message.format(path)


def test_a_mark_alone_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.qprog"
    path.write_bytes(b"\xef\xbb\xbf")
    assert refused(path).startswith(f"{path}:1:1: the text is empty.")


def test_unknown_suffixes(tmp_path: Path) -> None:
    for name, suffix in (("a.txt", ".txt"), ("a.qprg", ".qprg"), ("program", "")):
        path = tmp_path / name
        path.write_text("qubit: q skip")
        hint = " Did you mean `.qprog`?" if suffix == ".qprg" else ""
        expected = f"There is no reader `{suffix}`. Known: .prog, .qasm, .qprog.{hint}"
        if not suffix:
            expected = f"`{path}` has no suffix, which says how to read it. Known: .prog, .qasm, .qprog."
        assert refused(path) == expected


# --- Registries ---------------------------------------------------------------------------------


def write(program: Program) -> str:
    return str(program)


def test_a_name_is_given_once() -> None:
    registry: Registry[formats.Writer] = Registry("writer", lambda name: not name.startswith("."))
    assert registry.register("text", write) is write
    assert registry.find("text") is write
    assert registry.names() == ("text",)
    with pytest.raises(QdiffError) as caught:
        registry.register("text", write)
    assert str(caught.value) == "There is a writer `text` already."
    with pytest.raises(QdiffError) as caught:
        registry.register(".text", write)
    assert str(caught.value) == "`.text` cannot be the name of a writer."
    with pytest.raises(QdiffError) as caught:
        registry.register("", write)
    assert str(caught.value) == "`` cannot be the name of a writer."
    with pytest.raises(QdiffError) as caught:
        registry.find("txt")
    assert str(caught.value) == "There is no writer `txt`. Known: text. Did you mean `text`?"


def test_the_built_in_entries() -> None:
    assert readers.find(".qprog") is parse
    assert ".qprog" in readers.names()
    program = parse("qubit: q skip")
    assert writers.find("text")(program) == str(program)


def test_drawers_have_names_of_their_own() -> None:
    assert callable(drawers.find("plot:estimate"))
    for registry, name in ((writers, "plot:estimate"), (drawers, "estimate"), (readers, "plot:estimate")):
        with pytest.raises(QdiffError) as caught:
            registry.register(name, str)
        assert str(caught.value) == f"`{name}` cannot be the name of a {registry.kind}."
    with pytest.raises(QdiffError) as caught:
        drawers.find("plot:estimates")
    assert str(caught.value) == (
        "There is no drawer `plot:estimates`. Known: plot:estimate. Did you mean `plot:estimate`?"
    )


def entry(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


def offer(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> None:
    def entry_points(group: str) -> tuple[EntryPoint, ...]:
        assert group == "qdiff.formats"
        return entries

    monkeypatch.setattr(formats, "entry_points", entry_points)


def test_entry_points_are_loaded_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, entry(".twin", "qdiff.lang.text.parser:parse"), entry("loud", "nowhere.at.all:write"))
    own: Registry[formats.Reader] = Registry("reader", lambda name: name.startswith("."))
    assert own.names() == (".twin",)
    assert own.find(".twin") is parse
    offer(monkeypatch)
    assert own.find(".twin") is parse
    with pytest.raises(QdiffError) as caught:
        own.register(".twin", parse)
    assert str(caught.value) == "There is a reader `.twin` already."


def test_a_file_is_read_by_a_reader_of_another_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(readers, "_entries", {".qprog": parse})
    offer(monkeypatch, entry(".twin", "qdiff.lang.text.parser:parse"))
    path = tmp_path / "a.twin"
    path.write_text("qubit: q skip")
    assert load(path) == parse("qubit: q skip")


def test_entry_points_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    own: Registry[formats.Writer] = Registry("writer", lambda name: not name.startswith("."))
    offer(monkeypatch, entry("loud", "nowhere.at.all:write"))
    with pytest.raises(QdiffError) as caught:
        own.find("loud")
    assert str(caught.value) == (
        "The writer `loud` (nowhere.at.all:write) cannot be loaded: No module named 'nowhere'"
    )
    offer(monkeypatch, entry("twice", "a:b"), entry("twice", "c:d"))
    with pytest.raises(QdiffError) as caught:
        own.find("twice")
    assert str(caught.value) == "Two packages offer a writer `twice`: uninstall one of them."
