"""What the README promises stands elsewhere too."""

from __future__ import annotations

import re
from pathlib import Path

from upbench.cli.app import app

from tests.conftest import ROOT, Command

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    run, test, *_ = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
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
    for command in app.registered_commands:
        assert f"upbench {command.name or command.callback.__name__}" in README


def test_the_layer_of_the_readme_keeps_the_contract(tmp_path: Path, upbench: Command) -> None:
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "class MyLayer" in block)
    (tmp_path / "my_layer.py").write_text(code)
    done = upbench("check", "my_layer.py:MyLayer")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_links_of_the_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *(ROOT / "results").glob("*.md"), *(ROOT / "bench").rglob("*.md")]
    for document in documents:
        for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
            if not link.startswith("http"):
                assert (document.parent / link).exists(), f"{document.name}: {link}"
