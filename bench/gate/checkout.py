"""A revision checked out beside the working tree, and one process that records it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.cell import Cell
from bench.errors import UserError, unknown

# short turns: what repeats is the process and the block, not the round
TIMING = (
    *("-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", "-W", "ignore", "-q", "--benchmark-quiet"),
    *("--benchmark-max-time=0.005", "--benchmark-min-rounds=2", "--benchmark-warmup=off", "--benchmark-disable-gc"),
)
TESTS_FAILED = 1
WARM_UP = "--benchmark-warmup=on"  # a GPU raises its clocks under load
PROCESSOR_TIME = "--benchmark-timer=time.process_time"  # a thread's own seconds, not its waiting: see GATE.md


def repository() -> Path:
    """The root of the checkout the command runs in. Raises UserError outside one, or if it is not upbench's."""
    root = Path(_git(Path(), "rev-parse", "--show-toplevel"))
    if not (root / "bench" / "gate").is_dir():
        raise UserError(f"{root} is not a checkout of upbench: it has no bench/gate; run the command in one")
    return root


@contextmanager
def checked_out(root: Path, revision: str) -> Iterator[Path]:
    """A worktree of `revision`, gone afterwards. Raises UserError for an unknown revision, or one without a gate."""
    names = _git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").split()
    try:
        commit = _git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except UserError:
        raise unknown("revision", revision, names, str(root)) from None
    with tempfile.TemporaryDirectory(prefix="upbench-") as folder:
        tree = Path(folder, "base")
        _git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            if not (tree / "bench" / "gate").is_dir():
                raise UserError(f"revision {revision} has no bench/gate and cannot be recorded; name a later one")
            yield tree
        finally:
            _git(root, "worktree", "remove", "--force", str(tree))


def cells_of(tree: Path, grid: Path | None) -> dict[str, Cell]:
    """The cells of a checkout's own gate, or of `grid`, as the checkout itself understands them.

    Raises UserError if it refuses the grid.
    """
    command = [sys.executable, "-m", "bench.gate.cells", *([str(grid.resolve())] if grid else [])]
    done = subprocess.run(command, cwd=tree, env=_environment(tree), capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"checkout {tree}: {' '.join(done.stderr.strip().splitlines()[-1:])}")
    return {cell.id: cell for cell in map(Cell.from_json, json.loads(done.stdout))}


@dataclass(frozen=True)
class Recorder:
    """A process that records the checkout `tree` into `file`."""

    process: subprocess.Popen[str]
    tree: Path
    file: Path

    def finish(self) -> None:
        """Wait for it. A cell that raises leaves no figure and will be missing; anything worse is a UserError."""
        output, _ = self.process.communicate()
        self.file.with_suffix(".cells").unlink(missing_ok=True)
        if self.process.returncode not in (0, TESTS_FAILED) or not self.file.exists():
            last = " ".join(output.strip().splitlines()[-1:]) or "no output"
            raise UserError(f"recording {self.tree} ended with status {self.process.returncode}: {last}")


def start(tree: Path, file: Path, cells: Iterable[Cell], cpus: Sequence[int], *, exact: bool = False) -> Recorder:
    """Begin to record cells of the checkout `tree` into `file`, on these processors where the system can say so."""
    wanted, cells = file.with_suffix(".cells"), list(cells)
    wanted.write_text(json.dumps([cell.to_json() for cell in cells]))
    command = [sys.executable, "-m", "pytest", "bench", f"--benchmark-json={file}", f"--cells={wanted}", *TIMING]
    if any(cell.device == "cuda" for cell in cells):
        command.append(WARM_UP)
    elif all(cell.threads == 1 for cell in cells):
        command.append(PROCESSOR_TIME)
    process = subprocess.Popen(
        [*command, "--exact"] if exact else command,
        cwd=tree,
        env=_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, cpus)  # before its first import is over, so all its threads inherit it
    return Recorder(process, tree, file)


def _environment(tree: Path) -> dict[str, str]:
    # what a pytest around this process is told, its options and its workers, is not meant for the one inside
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # plug-ins that happen to be installed cost each process seconds
    return {**inherited, "PYTHONPATH": str(tree), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        raise UserError(f"git {' '.join(words)}: {' '.join(done.stderr.split()) or 'failed'}")
    return done.stdout.strip()
