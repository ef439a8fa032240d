"""Runs as a user sees them: done once, broken off, gone on with, and the ways a cell can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from upbench.store.record import Record
from upbench.store.store import Store

from tests.conftest import TINY, Command, arguments, environment


def records(out: Path) -> dict[str, Record]:
    store = Store(out)
    return {path.stem: record for path in store.cells.glob("*.json") if (record := store.read(path.stem))}


def start(folder: Path, *words: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments(*words),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        # a shell's background jobs, the tests perhaps among them, are started with Ctrl-C ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def workers_of(driver: int) -> list[int]:
    """The processes that run learning cells: children of the driver's fork server."""

    def children(pid: int) -> list[int]:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))

    servers = [pid for pid in children(driver) if b"forkserver" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return [worker for server in servers for worker in children(server)]


def tables(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "tables").iterdir()}


def test_a_second_run_does_nothing(finished: Path, upbench: Command) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "cells").iterdir()}
    done = upbench("run", finished.parent / "tiny.toml", "--out", finished)
    assert done.returncode == 0, done.stderr
    assert "0 cells to run, 4 already there" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (finished / "cells").iterdir()} == before


def test_a_record_says_what_the_machine_was_like_before_and_after(finished: Path) -> None:
    for path in (finished / "cells").glob("*.json"):
        record = json.loads(path.read_text())
        assert {"processor", "commit", "libraries"} <= set(record["environment"])
        for state in (record["conditions"]["before"], record["conditions"]["after"]):
            assert state["load"] >= 0
            assert state["affinity"] is None or set(state["affinity"]) <= os.sched_getaffinity(0)


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path, tiny: Path, finished: Path, upbench: Command) -> None:
    out = tmp_path / "out"
    driver = start(tmp_path, "run", tiny, "--out", out, "--workers", 1)
    wait_for(lambda: len(list((out / "cells").glob("*.json"))) >= 2)
    wait_for(lambda: workers_of(driver.pid))
    orphans = workers_of(driver.pid)
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans), 20)
    first = records(out)
    assert 2 <= len(first) < 4
    done = upbench("run", tiny, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{4 - len(first)} cells to run, {len(first)} already there" in done.stdout
    after = records(out)
    assert {name: after[name] for name in first} == first, "finished cells are not run again"
    assert tables(out) == tables(finished), "byte for byte those of an unbroken run"
    assert not (out / "scratch").exists()


def test_the_same_seed_gives_the_same_bits(finished: Path, tmp_path: Path, tiny: Path, upbench: Command) -> None:
    done = upbench("run", tiny, "--out", tmp_path / "again", "--only", "seed=1", "--workers", 2)
    assert done.returncode == 0, done.stderr
    again, once = records(tmp_path / "again"), records(finished)
    assert len(again) == 2
    for name, record in again.items():
        assert record.measurements == once[name].measurements
        assert record.raw == once[name].raw


def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, tiny: Path) -> None:
    driver = start(tmp_path, "run", tiny, "--out", "out", "--workers", 1)
    wait_for(lambda: list((tmp_path / "out" / "cells").glob("*.json")))
    driver.send_signal(signal.SIGINT)
    _, error = driver.communicate(timeout=30)
    assert driver.returncode == 130
    assert error.decode().strip() == (
        "upbench: stopped; finished cells are kept, the same command goes on from there"
    )  # fmt: skip
    assert records(tmp_path / "out")


def test_a_killed_worker_costs_its_cell_alone(tmp_path: Path, tiny: Path, upbench: Command) -> None:
    driver = start(tmp_path, "run", tiny, "--out", "out")
    wait_for(lambda: list((tmp_path / "out" / "scratch").glob("*")) and workers_of(driver.pid))
    os.kill(workers_of(driver.pid)[0], signal.SIGKILL)
    driver.communicate(timeout=120)
    assert driver.returncode == 1
    outcomes = sorted(record.outcome for record in records(tmp_path / "out").values())
    assert outcomes == ["ok", "ok", "ok", "out-of-memory"]
    table = (tmp_path / "out" / "tables" / "quality.md").read_text()
    assert "(1 lost)" in table, "a failed cell is shown, not averaged away"
    held = upbench("run", tiny, "--out", "out")
    assert held.returncode == 1
    assert "0 cells to run" in held.stdout, "failures are run again only on request"
    assert "out-of-memory" in upbench("status", "out").stdout
    again = upbench("run", tiny, "--out", "out", "--retry")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "1 cells to run, 3 already there" in again.stdout


@pytest.mark.parametrize(
    ("old", "new", "outcome", "reason"),
    [
        ("timeout = 120.0", "timeout = 0.01", "timeout", "killed after 0.01 s"),
        ("batch = 2 }", "batch = 2, learning_rate = 1e30 }", "diverged", "finite"),
        ("batch = 2 }", "batch = 100000000 }", "out-of-memory", "memory"),
    ],
)
def test_every_bad_end_is_an_outcome(
    tmp_path: Path, upbench: Command, old: str, new: str, outcome: str, reason: str
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY.replace(old, new, 1))
    done = upbench("run", "tiny.toml", "--out", "out", "--only", "seed=0", "--only", "layer=pixel_dcl")
    (record,) = records(tmp_path / "out").values()
    assert (done.returncode, record.outcome) == (1, outcome), done.stdout + done.stderr
    assert reason in record.reason
    assert "Traceback" not in done.stderr


def test_a_damaged_record_is_run_again(tmp_path: Path, finished: Path, tiny: Path, upbench: Command) -> None:
    subprocess.run(["cp", "-r", finished, tmp_path / "out"], check=True)
    victim = sorted((tmp_path / "out" / "cells").glob("*.json"))[0]
    victim.write_bytes(victim.read_bytes()[:100])
    refused = upbench("tables", "out")
    assert refused.returncode == 2
    assert victim.name in refused.stderr
    done = upbench("run", tiny, "--out", "out")
    assert "1 cells to run, 3 already there" in done.stdout, done.stderr
    assert tables(tmp_path / "out") == tables(finished)


def test_a_stale_cell_is_run_again(tmp_path: Path, finished: Path, tiny: Path, upbench: Command) -> None:
    subprocess.run(["cp", "-r", finished, tmp_path / "out"], check=True)
    victim = sorted((tmp_path / "out" / "cells").glob("*.json"))[0]
    victim.write_text(json.dumps({**json.loads(victim.read_text()), "fingerprint": "of older source"}))
    assert upbench("status", "out").stdout.split()[-2:-1] == ["1"], "counted as stale"
    assert "1 cells to run, 3 already there" in upbench("run", tiny, "--out", "out", "--dry-run").stdout
