"""How much faster is one form of a layer than another? Run `python -m upbench.studies.layer_forms FIRST SECOND`.

A form is a layer's name, with options after a colon and settings after slashes: `pixel_dcl:published`,
`transposed_conv:kernel_size=3`, `pixel_dcl/bf16/channels_last`, `pixel_dcl/compile`. Each process times one form on all
shapes; the two take turns, process by process, because rounds inside one are not replicates.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from upbench.errors import UserError, unknown_name_error
from upbench.layers import build

Shape = tuple[int, int, int]  # channels, side, batch
Times = dict[str, list[float]]  # seconds of each mode, one a shape

SHAPES: tuple[Shape, ...] = ((32, 128, 4), (64, 64, 4), (128, 32, 4), (256, 16, 8))
SETTINGS = ("bf16", "channels_last", "compile")
MODES = ("forward", "training")
# "./file.py:Layer" or "package.module:Layer", whose own slashes and colon separate nothing
OWN_LAYER = re.compile(r"[^:]*\.[^:]*:\w+")
# glibc gives freed memory back to the kernel, which zeroes it page by page when it is asked for again; with these it
# keeps what it has, and the time of page faults is not in the figures
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}


@dataclass(frozen=True)
class Conditions:
    """Where a form is timed, and how often.

    Attributes:
        device: "cpu" or "cuda".
        threads: threads of torch on the CPU.
        rounds: counted calls of each mode on each shape, in each process.
    """

    device: str
    threads: int
    rounds: int


# ---- forms ----


@dataclass(frozen=True)
class Form:
    """What the text of a form says.

    Attributes:
        layer: the layer's name.
        options: the layer's options that differ from its defaults.
        settings: some of SETTINGS.
    """

    layer: str
    options: dict[str, Any]
    settings: tuple[str, ...]


def parse_form(text: str) -> Form:
    """Read a form such as "pixel_dcl:published/bf16". Raises UserError for an unknown setting."""
    own_layer = OWN_LAYER.match(text)
    if own_layer:
        layer = own_layer.group()
        rest = text.removeprefix(layer)
    else:
        layer = re.split("[:/]", text, maxsplit=1)[0]
        rest = text.removeprefix(layer)
    option_text, *settings = rest.split("/")
    for setting in settings:
        if setting not in SETTINGS:
            raise unknown_name_error("setting", setting, SETTINGS, text)
    return Form(layer, _parse_options(option_text.removeprefix(":")), tuple(settings))


def _parse_options(text: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for part in text.split(","):
        if not part:
            continue
        key, equals, value = part.partition("=")
        if not equals:
            # a value alone is that of the option which most comparisons are about
            key, value = "implementation", part
        options[key] = int(value) if value.isdigit() else value
    return options


def build_layer(form: Form, channels: int) -> Any:
    """Build the 2-D, x2 layer of a form. Raises UserError for an unknown name or option."""
    return build(form.layer, channels, channels, **form.options)


# ---- times ----


@dataclass(frozen=True)
class Subject:
    """A layer on one shape, ready to be timed.

    Attributes:
        layer: the layer, on its device and in its memory format.
        x: the input, (batch, channels, side, side).
        direction: the gradient that arrives at the output, of the output's shape.
        bf16: whether the layer runs under autocast to bfloat16.
    """

    layer: nn.Module
    x: Tensor
    direction: Tensor
    bf16: bool

    def forward(self) -> None:
        """Run the forward pass without gradients, and wait for its end."""
        with torch.no_grad(), self._autocast():
            self.layer(self.x)
        self._wait()

    def training(self) -> None:
        """Run the forward and the backward pass, and wait for their end."""
        with self._autocast():
            y = self.layer(self.x)
        train(y, self.layer, self.x, self.direction.to(y.dtype))
        self._wait()

    def steps(self) -> dict[str, Callable[[], None]]:
        """The two steps that are timed, by mode."""
        return {"forward": self.forward, "training": self.training}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.bf16)

    def _wait(self) -> None:
        if self.x.is_cuda:
            torch.cuda.synchronize()


def train(y: Tensor, layer: nn.Module, x: Tensor, direction: Tensor) -> None:
    """Run the backward pass from y = layer(x), down to the input and all parameters, and drop the gradients."""
    torch.autograd.grad(y, [x, *layer.parameters()], direction)


def make_subject(form: Form, shape: Shape, device: str) -> Subject:
    """Build the layer of a form and its random input on one shape."""
    channels, side, batch = shape
    layout = torch.channels_last if "channels_last" in form.settings else torch.contiguous_format
    layer = build_layer(form, channels)
    layer = layer.to(device, memory_format=layout)
    if "compile" in form.settings:
        layer.compile()

    def draw_map(its_side: int) -> Tensor:
        """Draw a map of the layer's channels, in its memory format."""
        drawn = torch.randn(batch, channels, its_side, its_side, device=device)
        return drawn.contiguous(memory_format=layout)

    return Subject(
        layer,
        x=draw_map(side).requires_grad_(),
        direction=draw_map(2 * side),
        bf16="bf16" in form.settings,
    )


def time_form(form: Form, conditions: Conditions) -> Times:
    """Measure the seconds of a forward pass without gradients, and of a forward and backward pass, on each shape."""
    torch.set_num_threads(conditions.threads)
    times: Times = {mode: [] for mode in MODES}
    for shape in SHAPES:
        subject = make_subject(form, shape, conditions.device)
        for mode, step in subject.steps().items():
            seconds = best_seconds(step, conditions.rounds)
            times[mode].append(seconds)
    return times


def best_seconds(function: Callable[[], object], rounds: int) -> float:
    """Time the fastest of `rounds` calls, the one least disturbed, after two that are not counted."""
    seconds = []
    # with large maps the C library moves its threshold for giving memory back during the first six calls or so
    for _ in range(rounds + 2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def time_in_fresh_process(form: str, conditions: Conditions) -> Times:
    """Run `time_form` in a process of its own. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "upbench.studies.layer_forms", form, "--one"]
    for name, value in asdict(conditions).items():
        command += [f"--{name}", str(value)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


# ---- what is printed ----


def print_comparison(first: str, second: str, conditions: Conditions, processes: int) -> None:
    """Print the first form's time over the second's, for each mode.

    The figure of a shape is the median over the processes, the figure of all is their geometric mean. The range is that
    of the processes' own geometric means.
    """
    ratios: dict[str, list[list[float]]] = {mode: [] for mode in MODES}  # by process, then by shape
    for _ in range(processes):
        # in turn, so that whatever slows the machine for minutes slows both
        first_times = time_in_fresh_process(first, conditions)
        second_times = time_in_fresh_process(second, conditions)
        for mode in MODES:
            pairs = zip(first_times[mode], second_times[mode], strict=True)
            ratios[mode].append([ours / theirs for ours, theirs in pairs])
    for mode, by_process in ratios.items():
        by_shape = zip(*by_process, strict=True)
        medians = [statistics.median(of_shape) for of_shape in by_shape]
        means = sorted(map(geometric_mean, by_process))
        overall = geometric_mean(medians)
        processes_range = f"{means[0]:.3f} to {means[-1]:.3f}"
        shapes = list_ratios(medians)
        print(
            f"{first} over {second}, {mode}: {overall:.3f} (processes {processes_range}; shapes {shapes})", flush=True
        )


def geometric_mean(values: Sequence[float]) -> float:
    """Compute the geometric mean of positive values."""
    return math.exp(statistics.fmean(map(math.log, values)))


def list_ratios(ratios: Sequence[float]) -> str:
    """Write ratios with two decimals, separated by commas."""
    return ", ".join(f"{ratio:.2f}" for ratio in ratios)


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Add the options that make a `Conditions` to a command line."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch on the CPU")
    parser.add_argument("--rounds", type=int, default=10, help="counted calls in each process, of which one counts")


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m upbench.studies.layer_forms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("forms", nargs="+", metavar="FORM", help="two forms to compare")
    add_conditions(parser)
    parser.add_argument("--processes", type=int, default=7, help="fresh processes of each form")
    parser.add_argument("--keep-pages", action="store_true", help="processes keep freed memory: no page faults (glibc)")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)  # how a fresh process is started
    arguments = parser.parse_args()
    conditions = Conditions(arguments.device, arguments.threads, arguments.rounds)
    forms = arguments.forms
    if len(forms) != 2 and not arguments.one:
        parser.error("two forms are compared")
    if arguments.keep_pages:
        # the C library reads these when a process starts, so they are for the fresh ones only
        os.environ.update(KEEP_PAGES)
    try:
        if arguments.one:
            print(json.dumps(time_form(parse_form(forms[0]), conditions)))
            return
        for form in forms:
            # what cannot be built is refused here, in one line, and not by a process that fails
            build_layer(parse_form(form), channels=SHAPES[0][0])
        first, second = forms
        print_comparison(first, second, conditions, arguments.processes)
    except UserError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
