"""`upbench layer`: rows that the analysis measured, pictures as files, refusals in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner
from upbench.cli.app import app
from upbench.errors import UserError
from upbench.layers import LAYERS, build
from upbench.layers.inspect.portrait import portray

runner = CliRunner()


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_has_a_portrait(name: str) -> None:
    portrait = portray(build(name, 8, 8))
    assert [row.phase for row in portrait.phases] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert all(row.pixels > 0 and row.gain >= 0 for row in portrait.phases)
    assert portrait.checkerboard >= 0


def unevenness(init: str) -> float:
    """The largest gain of a phase over the smallest."""
    gains = [row.gain for row in portray(build("pixel_dcl", 16, 16, init=init)).phases]
    return max(gains) / min(gains)


def test_the_released_start_makes_two_phases_loud(tmp_path: Path) -> None:
    assert unevenness("equal") < 2 < 4 < unevenness("released")
    options = ["--set", "init=released", "--set", "kernel_size=5", "--out", str(tmp_path)]
    done = runner.invoke(app, ["layer", "pixel_dcl", *options])
    assert done.exit_code == 0, done.output
    assert "(1, 1)" in done.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "dependencies.png", "receptive_fields.png", "impulse_response.png",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pixel_dlc"], "pixel_dcl"),
        (["pixel_dcl", "--set", "kernal_size=5"], "kernel_size"),
        (["pixel_dcl", "--set", "kernel_size"], "OPTION=VALUE"),
        (["pixel_dcl", "--set", "kernel_size=4"], "odd"),
        (["pixel_dcl", "--dims", "3", "--out", "x"], "1-D and 2-D"),
    ],
)
def test_what_cannot_be_built_is_refused(words: list[str], said: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = runner.invoke(app, ["layer", *words])
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)
    assert not list(tmp_path.iterdir())
