"""The page about rules: its table is that of the registry, and every rule stands on it."""

from __future__ import annotations

from qdiff.rules import rules
from tools.rules_table import PAGE, updated


def test_the_table_is_up_to_date() -> None:
    """If this fails: `make docs`."""
    page = PAGE.read_text(encoding="utf-8")
    assert updated(page) == page


def test_a_changed_table_would_be_noticed() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for old, new in (("1.207 / 4", "1 / 4"), ("| `damp` |", "| `dampen` |")):
        assert old in page
        assert updated(page.replace(old, new)) == page


def test_every_rule_has_its_paragraph() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for rule in rules():
        assert f"**`{rule.name}`**" in page
        assert rule.summary
        assert rule.formula
