"""What the README promises stands elsewhere too."""

from __future__ import annotations

import re

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    run, test = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert run.endswith("upbench run ablations/quick.toml")
    assert test in (ROOT / ".ci" / "run").read_text()


def test_the_readme_shows_the_reference_run() -> None:
    table = (ROOT / "results" / "quick" / "tables" / "summary.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) >= 2 + 4
    for row in rows:
        assert row in README
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", README):
        assert (ROOT / picture).is_file(), picture


def test_every_grid_and_command_is_named() -> None:
    for path in (ROOT / "ablations").glob("*.toml"):
        assert f"ablations/{path.name}" in README
    for command in ("list", "run", "status", "tables", "plots", "page", "recompute", "regress", "compare", "calibrate"):
        assert f"upbench {command}" in README
