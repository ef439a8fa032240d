"""`upbench check`: every registered layer passes, and a planted mistake is named in one line."""

from __future__ import annotations

from pathlib import Path

import click.testing
import pytest
import torch
from typer.testing import CliRunner
from upbench.cli.app import app
from upbench.errors import UserError
from upbench.layers import LAYERS, build
from upbench.layers.inspect.conformance import CHECKS, Finding, check_layer, check_made
from upbench.layers.inspect.conformance_case import Case, NotChecked
from upbench.layers.inspect.conformance_start import check_start

runner = CliRunner()

# A layer like a user's own: a convolution for all phases, then the shuffle. The words in capitals are replaced.
LAYER = """
import torch
import torch.nn.functional as F
from torch import nn

from upbench.layers.base import CONV, UpsamplingLayer, init_by_fan_in
from upbench.layers.phases import shuffle


class Mine(UpsamplingLayer):
    dims_supported = SUPPORTED

    def __init__(self, in_channels, out_channels, *, dims: int = 2, scale_factor: int = 2, kernel_size: int = 3):
        super().__init__(in_channels, out_channels, dims=dims, scale_factor=scale_factor, bias=False)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.kernel_size = kernel_size
        phases = scale_factor**dims
        self.weight = nn.Parameter(torch.empty(out_channels * phases, in_channels, *[kernel_size] * dims))
        self.reset_parameters()

    def reset_parameters(self):
        init_by_fan_in(self.weight, self.weight[0].numel())
        RESET

    def upsample(self, x):
        BEFORE
        phases = CONV[self.dims](x, self.weight, padding=self.kernel_size // 2)
        y = shuffle(phases.unflatten(1, (self.out_channels, -1)), self.scale_factor)
        AFTER
        return y

    def multiply_adds(self):
        return FORMULA
"""
WORDS = {"RESET": "pass", "BEFORE": "pass", "AFTER": "pass", "FORMULA": "self.weight.numel()", "SUPPORTED": "(2,)"}

PLAIN = """
from torch import nn


class Plain(nn.ConvTranspose2d):
    def __init__(self, in_channels, out_channels, *, dims: int = 2, scale_factor: int = 2):
        if scale_factor != 2:
            raise ValueError("only a scale_factor of 2")
        super().__init__(in_channels, out_channels, 4, 2, 1, bias=False)
"""

BROKEN = """
from torch import nn


class Broken(nn.Module):
    def __init__(self, in_channels, out_channels, *, dims: int = 2, scale_factor: int = 2):
        super().__init__()
        raise KeyError("first line\\nsecond line")
"""


def write_layer(folder: Path, **words: str) -> str:
    """Write the layer with other words into a file, and return its name as the command takes it."""
    text = LAYER
    for word, replacement in (WORDS | words).items():
        text = text.replace(word, replacement)
    path = folder / "mine.py"
    path.write_text(text)
    return f"{path}:Mine"


def write_file(folder: Path, text: str, name: str) -> str:
    path = folder / "own.py"
    path.write_text(text)
    return f"{path}:{name}"


def run_check(*words: str) -> click.testing.Result:
    return runner.invoke(app, ["check", *words])


def lines_with(state: str, output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(state)]


# one of each family in the default tests; tests/layers/test_conformance.py asks the same of all of them
OFTEN = ("transposed_conv", "pixel_shuffle", "pixel_dcl", "carafe", "dysample")
CHECKED = [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.slow]) for name in LAYERS]


@pytest.mark.parametrize("name", CHECKED)
def test_every_registered_layer_passes(name: str) -> None:
    findings = check_layer(name)
    assert [finding for finding in findings if finding.passed is False] == []
    assert [finding.check for finding in findings if finding.passed] == [check.name for check in CHECKS]


@pytest.mark.parametrize(
    ("name", "options"), [("dysample", {"dynamic_scope": True}), ("transposed_conv", {"kernel_size": 3})]
)
def test_options_reach_the_layer_that_is_checked(name: str, options: dict[str, object]) -> None:
    assert [finding for finding in check_layer(name, options) if finding.passed is False] == []


def test_a_start_that_borders_would_falsify_is_not_checked() -> None:
    def make(in_channels: int, out_channels: int, *, dims: int, scale_factor: int) -> torch.nn.Module:
        return build("pixel_dcl", in_channels, out_channels, dims=dims, scale_factor=scale_factor, kernel_size=5)

    assert check_start(Case(make, 2, 2)) is None
    with pytest.raises(NotChecked, match="more than 3 pixels away"):
        check_start(Case(make, 3, 2))


def test_a_layer_of_the_users_own_passes(tmp_path: Path) -> None:
    done = run_check(write_layer(tmp_path))
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == f"{len(CHECKS)} checks passed"
    assert len(done.output.splitlines()) == len(CHECKS) + 1


MISTAKES = {
    "formula": (
        {"FORMULA": "self.weight.numel() // 4"},
        "FLOPs",
        "dims=2, scale_factor=2: multiply_adds() says 1,152 a pixel, counted 4,608 (x 4.00)",
    ),
    "start": (
        {"RESET": "self.weight.data.unflatten(0, (self.out_channels, -1))[:, -1].mul_(3)"},
        "start",
        "dims=2, scale_factor=2: phase (1, 1) starts with a mean square of",
    ),
    "loud": (
        {"RESET": "self.weight.data.mul_(2)"},
        "start",
        "white noise of variance 1 comes out with a mean square of",
    ),
    "in place": ({"BEFORE": "x.neg_() if not x.requires_grad else x"}, "input kept", "changes its input in place"),
    "draws": ({"AFTER": "y = y + 0.01 * torch.randn_like(y)"}, "determinism", "two calls with the same input differ"),
    "size": (
        {"AFTER": "y = y[..., :-1]"},
        "shapes",
        "dims=2, scale_factor=2: an input (1, 16, 5, 3) gives (1, 8, 10, 5), not (1, 8, 10, 6)",
    ),
    "batch": ({"AFTER": "y = y - y.mean(0, keepdim=True)"}, "batch", "changes with the other samples"),
    "gradient": ({"BEFORE": "x = x.detach()"}, "gradients", "the input"),
    "unused": ({"RESET": "self.idle = nn.Parameter(torch.ones(1))"}, "gradients", "parameter idle gets no gradient"),
    "dtype": ({"AFTER": "y = y.float()"}, "dtypes", "torch.float64 give torch.float32"),
    "state": ({"BEFORE": "self.weight.data.add_(0.1)"}, "modes", "a call in eval mode changes weight"),
    "raises": (
        {"AFTER": "assert x.ndim != 5, 'no volumes'", "SUPPORTED": "(2, 3)"},
        "shapes",
        "dims=3, scale_factor=2: AssertionError: no",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_named_in_its_line(mistake: str, tmp_path: Path) -> None:
    words, check, said = MISTAKES[mistake]
    done = run_check(write_layer(tmp_path, **words))
    assert done.exit_code == 1, done.output
    failures = lines_with("FAILED", done.output)
    [failure] = [line for line in failures if line.split(maxsplit=1)[1].startswith(check)]
    assert said in failure
    last = done.output.splitlines()[-1]
    assert last.startswith(f"{len(failures)} of ")
    assert last.endswith(" checks failed")
    assert "Traceback" not in done.output


@pytest.mark.parametrize("mistake", ["formula", "start", "loud", "in place", "unused"])
def test_one_mistake_fails_one_check(mistake: str, tmp_path: Path) -> None:
    words, _, _ = MISTAKES[mistake]
    done = run_check(write_layer(tmp_path, **words))
    assert len(lines_with("FAILED", done.output)) == 1, done.output


def test_the_authors_start_of_pixel_dcl_is_uneven() -> None:
    [fault] = [finding for finding in check_layer("pixel_dcl", {"init": "released"}) if finding.passed is False]
    assert fault.check == "start"
    assert "phase (" in fault.message


def test_a_plain_module_is_checked_without_its_formula(tmp_path: Path) -> None:
    done = run_check(write_file(tmp_path, PLAIN, "Plain"))
    assert done.exit_code == 0, done.output
    skipped = lines_with("not checked", done.output)
    assert len(skipped) == 3
    assert "dims=2, scale_factor=3" in skipped[0]
    assert "not supported: only a scale_factor of 2" in skipped[0]
    assert "not an UpsamplingLayer" in skipped[1]
    assert "does not define both multiply_adds() and" in skipped[2]


def test_a_layer_may_refuse_an_empty_batch(tmp_path: Path) -> None:
    done = run_check(write_layer(tmp_path, BEFORE="assert len(x), 'no samples'"))
    assert done.exit_code == 0, done.output
    [line] = lines_with("not checked", done.output)
    assert "empty batch" in line
    assert "not supported: AssertionError: no samples" in line


def test_a_layer_that_cannot_be_built_is_one_line(tmp_path: Path) -> None:
    done = run_check(write_file(tmp_path, BROKEN, "Broken"))
    assert done.exit_code == 1
    [line, last] = done.output.splitlines()
    assert "KeyError" in line
    assert last == "1 of 1 checks failed"


def test_a_layer_that_refuses_the_required_case_fails() -> None:
    def make(in_channels: int, out_channels: int, *, dims: int, scale_factor: int) -> torch.nn.Module:
        raise ValueError("not today")

    assert check_made(make) == [Finding("build", False, "dims=2, scale_factor=2: ValueError: not today")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pixel_dlc"], "pixel_dcl"),
        (["pixel_dcl", "--set", "kernal_size=5"], "kernel_size"),
        (["pixel_dcl", "--set", "kernel_size"], "OPTION=VALUE"),
        (["pixel_dcl", "--set", "kernel_size=4"], "odd"),
        (["./nowhere.py:Mine"], "nowhere.py"),
    ],
)
def test_bad_input_is_refused(words: list[str], said: str) -> None:
    done = run_check(*words)
    assert isinstance(done.exception, UserError)
    assert said in str(done.exception)


def test_checking_leaves_the_random_numbers_as_they_were() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    check_made(lambda *channels, **settings: build("bilinear_1x1", *channels, **settings))
    assert torch.equal(torch.rand(3), expected)
