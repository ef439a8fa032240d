"""Each study is a command that says what it takes, and each has its page."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from upbench import studies

from tests.conftest import ROOT, environment

LISTED = re.findall(r"-m upbench\.studies\.(\w+) .*?(\w+\.md)$", studies.__doc__ or "", re.MULTILINE)
NAMES = [name for name, _ in LISTED]


@pytest.mark.parametrize(("name", "page"), LISTED)
def test_a_listed_study_says_what_it_takes_and_has_its_page(name: str, page: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"upbench.studies.{name}", "--help"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"python -m upbench.studies.{name}" in done.stdout
    assert name in (ROOT / "bench" / "upbench" / "studies" / page).read_text()


def test_every_module_with_a_command_is_listed() -> None:
    modules = (ROOT / "bench" / "upbench" / "studies").glob("*.py")
    commands = {module.stem for module in modules if "def main(" in module.read_text()}
    assert commands == set(NAMES)
