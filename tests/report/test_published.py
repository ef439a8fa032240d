"""Figures of others: the committed file, and what is wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest
from upbench.errors import UserError
from upbench.report.published import published_to_markdown, read_published

from tests.conftest import ROOT

TABLE = """
[[tables]]
title = "A table"
source = "a paper"
checked = true
columns = ["mean IoU"]
[tables.values]
"PixelDCL" = [0.5]
"other" = []
"""


def test_the_committed_figures_are_shown_and_the_unchecked_are_named() -> None:
    text = published_to_markdown(read_published(ROOT / "results" / "published.toml"))
    assert "| iPixelDCL | 0.7336 |" in text
    assert "1705.06820): no figure" in text
    assert text in (ROOT / "results" / "README.md").read_text()


def test_a_row_without_figures_says_so(tmp_path: Path) -> None:
    (tmp_path / "published.toml").write_text(TABLE)
    assert "| other | not checked |" in published_to_markdown(read_published(tmp_path / "published.toml"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[0.5]", "[0.5, 0.6]", "row 'PixelDCL' needs 1 values, or none"),
        ("checked = true", "checked = false", "nobody has checked"),
        ('source = "a paper"', "", "tables.0.source: field required"),
        ("[0.5]", "[nan]", "finite"),
        ("[[tables]]", "[[tables", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, said: str) -> None:
    (tmp_path / "published.toml").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(UserError, match=said):
        read_published(tmp_path / "published.toml")
