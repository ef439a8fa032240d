"""The command's light parts start at once: they import no torch."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import environment

# the processor time of a start, in seconds, several times that of a quiet machine: a busy one must not fail it
MOST = 2.0
LIGHT = [["list"], ["--help"], ["tables", "--help"], ["run", "--help"], ["status", "FINISHED"]]


def run_and_tell(words: list[str], cwd: Path) -> tuple[float, str]:
    """Seconds of processor time of the command, and the modules it imported."""
    code = (
        "import sys\nfrom upbench.cli.app import main\nsys.argv = ['upbench', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print('IMPORTED', *sys.modules, file=sys.stderr)"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_a_light_command_imports_no_torch_and_starts_soon(words: list[str], tmp_path: Path, finished: Path) -> None:
    seconds, imported = run_and_tell([str(finished) if word == "FINISHED" else word for word in words], tmp_path)
    assert " torch " not in imported
    assert seconds < MOST
