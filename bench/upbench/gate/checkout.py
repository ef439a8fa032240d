"""A revision checked out beside the working tree, and one process that records it.

Each side of a comparison runs its own code. In a checkout of upbench that is the tree's own upbench. In any other
checkout it is the tree's own layers, under the upbench that is installed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upbench.cell import Cell
from upbench.errors import UserError, unknown_name_error
from upbench.gate.cells import dump_cells, parse_cells

PLUGINS = ("-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", "-p", "upbench.gate.plugin")
# neither the configuration nor the fixtures of the tests that lie in the same checkout
ALONE = ("-c", os.devnull, "--noconftest", "-W", "ignore", "-q", "--benchmark-quiet")
# short turns: what repeats is the process and the block, not the round
TURNS = ("--benchmark-max-time=0.005", "--benchmark-min-rounds=2", "--benchmark-warmup=off", "--benchmark-disable-gc")
WARM_UP = "--benchmark-warmup=on"  # a GPU raises its clocks under load
PROCESSOR_TIME = "--benchmark-timer=time.process_time"  # a thread's own seconds, not its waiting: see studies/GATE.md
TESTS_FAILED = 1
GATE = Path("bench", "upbench", "gate")  # in a checkout of upbench


def repository() -> Path:
    """The root of the git checkout that the command runs in. Raises UserError outside one."""
    return Path(_run_git(Path(), "rev-parse", "--show-toplevel"))


def is_upbench(tree: Path) -> bool:
    """Whether a checkout is upbench itself, and not one that uses it."""
    return (tree / GATE).is_dir()


@contextmanager
def checked_out(root: Path, revision: str) -> Iterator[Path]:
    """A worktree of `revision`, gone afterwards.

    Raises UserError for an unknown revision, and for one of upbench's own from before it had this gate.
    """
    names = _run_git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads", "refs/tags").split()
    try:
        # an annotated tag stands for its commit, and what is no commit is refused
        commit = _run_git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    except UserError:
        raise unknown_name_error("revision", revision, names, str(root)) from None
    with tempfile.TemporaryDirectory(prefix="upbench-") as folder:
        tree = Path(folder, "base")
        _run_git(root, "worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            if is_upbench(root) and not is_upbench(tree):
                raise UserError(f"revision {revision} has no {GATE} and cannot be recorded; name a later one")
            yield tree
        finally:
            _run_git(root, "worktree", "remove", "--force", str(tree))


def cells_of(tree: Path, grid: Path | None, only: Sequence[str] = ()) -> dict[str, Cell]:
    """The cells of a checkout, as the checkout itself understands them.

    Args:
        tree: the checkout.
        grid: the file that describes them; None for the checkout's own.
        only: KEY=VALUE conditions that a cell has to meet.

    Returns:
        The cells by id.

    Raises:
        UserError: the checkout has no grid of its own, or refuses it.
    """
    command = [sys.executable, "-m", "upbench.gate.cells"]
    if grid is not None:
        # the process runs in the checkout, where a relative path would mean another file
        command.append(str(grid.resolve()))
    for condition in only:
        command += ["--only", condition]
    environment = _make_environment(tree)
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"checkout {tree}: {_find_last_line(done.stderr)}")
    return parse_cells(done.stdout)


@dataclass(frozen=True)
class Recorder:
    """A process that records a checkout.

    Attributes:
        process: the process, its output in one stream.
        tree: the checkout.
        file: what the process writes.
    """

    process: subprocess.Popen[str]
    tree: Path
    file: Path

    def finish(self) -> None:
        """Wait for the process. A cell that raises leaves no figure and will be missing.

        Raises UserError for anything worse.
        """
        output, _ = self.process.communicate()
        cells_file = self.file.with_suffix(".cells")
        cells_file.unlink(missing_ok=True)
        status = self.process.returncode
        # a test that failed is a cell that raised
        if status not in (0, TESTS_FAILED) or not self.file.exists():
            reason = _find_last_line(output)
            raise UserError(f"recording {self.tree} ended with status {status}: {reason}")


def start(tree: Path, file: Path, cells: Iterable[Cell], cpus: Sequence[int], *, exact: bool = False) -> Recorder:
    """Begin to record cells of the checkout `tree`.

    Args:
        tree: the checkout.
        file: where the recording goes.
        cells: what is recorded.
        cpus: the processors that the process may use, where the system can say so.
        exact: whether the figures that do not vary are taken as well.

    Returns:
        The process, which runs.
    """
    cells = list(cells)
    cells_file = file.with_suffix(".cells")
    cells_file.write_text(dump_cells(cells))
    gate = _find_gate(tree)
    command = [sys.executable, "-m", "pytest", str(gate / "harness.py"), *PLUGINS, *ALONE, *TURNS]
    command += [f"--benchmark-json={file}", f"--cells={cells_file}", f"--rootdir={tree}"]
    # pytest collects from this folder down; from above it would pass over a virtual environment
    command.append(f"--confcutdir={gate}")
    # no folder is put before the tree's own: an installed copy of the layers would be recorded instead
    command.append("--import-mode=importlib")
    # one process has cells of one device and of one number of threads, see `Subjects`
    first = cells[0]
    if first.device == "cuda":
        command.append(WARM_UP)
    elif first.threads == 1:
        command.append(PROCESSOR_TIME)
    if exact:
        command.append("--exact")
    process = subprocess.Popen(
        command,
        cwd=tree,
        env=_make_environment(tree),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, cpus)  # before its first import is over, so all its threads inherit it
    return Recorder(process, tree, file)


def _make_environment(tree: Path) -> dict[str, str]:
    """The environment of a process that runs the code of a checkout."""
    # what a pytest around this process is told, its options and its workers, is not meant for the one inside
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # plug-ins that happen to be installed cost each process seconds
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment["PYTHONPATH"] = os.pathsep.join(map(str, _list_search_path(tree)))
    return environment


def _find_gate(tree: Path) -> Path:
    """The folder of the gate that records a checkout: its own if it is upbench, else that of the upbench that runs."""
    if is_upbench(tree):
        return tree / GATE
    return Path(__file__).parent


def _list_search_path(tree: Path) -> list[Path]:
    """The folders in which a process that records a checkout looks for modules before all others."""
    if is_upbench(tree):
        return [tree / "bench"]
    folders = [tree, tree / "src"]
    running = Path(__file__).parents[2]
    # an upbench that was run from its checkout is found by no other path; one that is installed must not be named, as
    # its neighbours would come before Python's own modules
    if running != Path(sysconfig.get_path("purelib")):
        folders.append(running)
    return [folder for folder in folders if folder.is_dir()]


def _find_last_line(output: str) -> str:
    """The last line that a process printed, which says what went wrong."""
    lines = output.strip().splitlines()
    return lines[-1] if lines else "no output"


def _run_git(root: Path, *words: str) -> str:
    """What a git command prints. Raises UserError where git fails or is not there."""
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UserError(f"git cannot be run: {error.strerror}") from None
    if done.returncode:
        message = " ".join(done.stderr.split())
        raise UserError(f"git {' '.join(words)}: {message or 'failed'}")
    return done.stdout.strip()
