"""Time one form of a layer against another: `python -m bench.tasks.layer_forms pixel_dcl pixel_dcl:published`.

A form is a layer's name, with options after a colon and settings after slashes: `pixel_dcl:published`,
`transposed_conv:kernel=3`, `pixel_dcl/bf16/channels_last`, `pixel_dcl/compile`. Each process times one form on all
shapes; the two take turns, process by process, because rounds inside one are not replicates.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import unknown
from bench.layers import build

SHAPES = [(32, 128, 4), (64, 64, 4), (128, 32, 4), (256, 16, 8)]  # channels, side, batch
SETTINGS = ("bf16", "channels_last", "compile")
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward", "mkldnn::_convolution_pointwise_")
# glibc gives freed memory back to the kernel, which zeroes it page by page when it is asked for again; with these it
# keeps what it has, and the time of page faults is not in the figures
KEEP_PAGES = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**33)}
Times = dict[str, list[float]]  # "forward" and "training": seconds, one a shape


@dataclass(frozen=True)
class Machine:
    """Where and how often: threads of the CPU, rounds in each process."""

    device: str
    threads: int
    rounds: int


@dataclass(frozen=True)
class Subject:
    """A layer and its input on one shape, and what it does with them."""

    layer: nn.Module
    x: Tensor
    direction: Tensor
    bf16: bool

    def forward(self) -> None:
        with torch.no_grad(), torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.bf16):
            self.layer(self.x)
        self._wait()

    def training(self) -> None:
        with torch.autocast(self.x.device.type, torch.bfloat16, enabled=self.bf16):
            y = self.layer(self.x)
        train(y, self.layer, self.x, self.direction.to(y.dtype))
        self._wait()

    def _wait(self) -> None:
        if self.x.is_cuda:
            torch.cuda.synchronize()


def train(y: Tensor, layer: nn.Module, x: Tensor, direction: Tensor) -> None:
    """The backward pass from y = layer(x); the gradients are dropped."""
    torch.autograd.grad(y, [x, *layer.parameters()], direction)


def layer_for(form: str, channels: int) -> Any:
    """The 2-D, x2 layer a form names. Raises UserError for an unknown name or option."""
    name, _, text = form.partition("/")[0].partition(":")
    pairs = [pair.split("=") if "=" in pair else ["implementation", pair] for pair in text.split(",") if pair]
    options: dict[str, Any] = {key: int(value) if value.isdigit() else value for key, value in pairs}
    return build(name, channels, channels, **options)


def subject(form: str, shape: tuple[int, int, int], device: str) -> Subject:
    """The form on one shape. Raises UserError for an unknown setting."""
    settings = form.split("/")[1:]
    for setting in settings:
        if setting not in SETTINGS:
            raise unknown("setting", setting, SETTINGS, form)
    channels, side, batch = shape
    layout = torch.channels_last if "channels_last" in settings else torch.contiguous_format
    layer = layer_for(form, channels).to(device, memory_format=layout)
    if "compile" in settings:
        layer.compile()
    x, direction = (
        torch.randn(batch, channels, size, size, device=device).contiguous(memory_format=layout)
        for size in (side, 2 * side)
    )
    return Subject(layer, x.requires_grad_(), direction, "bf16" in settings)


def measure(form: str, machine: Machine) -> Times:
    """Seconds of a forward pass without gradients, and of a forward and backward pass, for each shape."""
    torch.set_num_threads(machine.threads)
    times: Times = {"forward": [], "training": []}
    for shape in SHAPES:
        ready = subject(form, shape, machine.device)
        times["forward"].append(best_seconds(ready.forward, machine.rounds))
        times["training"].append(best_seconds(ready.training, machine.rounds))
    return times


def best_seconds(function: Callable[[], object], rounds: int) -> float:
    """The fastest of `rounds` calls, the one least disturbed, after two that are not counted.

    With large maps the C library moves its threshold for giving memory back during the first six calls or so.
    """
    seconds = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def in_fresh_process(form: str, machine: Machine) -> Times:
    """`measure` in a process of its own. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "bench.tasks.layer_forms", form, "--one", json.dumps(vars(machine))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def compare(forms: Sequence[str], machine: Machine, processes: int) -> None:
    """Print the first form's time over the second's: median of the processes for each shape, geometric mean, range."""
    runs = [[in_fresh_process(form, machine) for form in forms] for _ in range(processes)]
    for kind in ("forward", "training"):
        ratios = [[a / b for a, b in zip(first[kind], second[kind], strict=True)] for first, second in runs]
        shapes = [statistics.median(shape) for shape in zip(*ratios, strict=True)]
        means = sorted(map(geometric_mean, ratios))
        print(
            f"{forms[0]} over {forms[1]}, {kind}: {geometric_mean(shapes):.3f} (processes {means[0]:.3f} to "
            f"{means[-1]:.3f}; shapes {', '.join(f'{ratio:.2f}' for ratio in shapes)})",
            flush=True,
        )


def print_floor(form: str, machine: Machine) -> None:
    """Print how far the forward pass of `form` is from its arithmetic and from writing its output once.

    The floor is the multiply-adds at the better of two measured rates, of a matrix product and of a wide 3x3
    convolution, and the output's bytes at the measured copy rate (read and written).
    """
    torch.set_num_threads(machine.threads)
    a, image, kernel = torch.randn(2048, 2048), torch.randn(4, 128, 32, 32), torch.randn(512, 128, 3, 3)
    convolve = partial(torch.nn.functional.conv2d, image, kernel, padding=1)
    flops = {
        "matrix product": 2 * 2048**3 / best_seconds(lambda: a @ a, machine.rounds),
        "3x3 convolution": 8 * 1024 * kernel.numel() / best_seconds(convolve, machine.rounds),
    }
    source, target = torch.randn(2**24), torch.empty(2**24)
    copied = 2**26 / best_seconds(lambda: target.copy_(source), machine.rounds)
    print(
        ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in flops.items()), f"copy {copied / 1e9:.1f} GB/s"
    )
    forward = measure(form, machine)["forward"]
    for (channels, side, batch), seconds in zip(SHAPES, forward, strict=True):
        arithmetic = 2 * layer_for(form, channels).multiply_adds() * side**2 * batch / max(flops.values())
        writing = 16 * channels * side**2 * batch / copied
        print(
            f"{form} {channels}x{side}x{batch}: {seconds * 1e3:.1f} ms, arithmetic {arithmetic * 1e3:.1f}, "
            f"writing {writing * 1e3:.1f}, {seconds / (arithmetic + writing):.2f} times the floor"
        )


def print_convolutions(form: str, machine: Machine) -> None:
    """Print which share of its time a form spends in convolutions, and the gain if all else took no time at all.

    Two forms of the same arithmetic can differ by no more than that gain. The share is the profiler's, of one pass.
    """
    torch.set_num_threads(machine.threads)
    for kind in ("forward", "training"):
        gains = []
        for shape in SHAPES:
            step = getattr(subject(form, shape, machine.device), kind)
            gains.append(1 / statistics.median(convolution_share(step) for _ in range(machine.rounds)))
        shapes = ", ".join(f"{gain:.2f}" for gain in gains)
        print(f"{form}, {kind}: at most {geometric_mean(gains):.3f} (shapes {shapes})")


def convolution_share(step: Callable[[], object]) -> float:
    """Time in convolutions and their backward over the whole time of one call, after one that is not counted."""
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        step()
        whole = time.perf_counter() - start
    inside = sum(event.cpu_time_total for event in profiler.key_averages() if event.key in CONVOLUTIONS)
    return 1e-6 * inside / whole


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", nargs="+", metavar="FORM")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--floor", action="store_true", help="the distance of the first form from its arithmetic")
    parser.add_argument("--convolutions", action="store_true", help="what the first form would gain without the rest")
    parser.add_argument("--keep-pages", action="store_true", help="processes keep freed memory: no page faults (glibc)")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    machine = Machine(arguments.device, arguments.threads, arguments.rounds)
    if arguments.one:
        print(json.dumps(measure(arguments.forms[0], Machine(**arguments.one))))
    elif arguments.floor:
        print_floor(arguments.forms[0], machine)
    elif arguments.convolutions:
        print_convolutions(arguments.forms[0], machine)
    elif len(arguments.forms) == 2:
        if arguments.keep_pages:
            os.environ.update(KEEP_PAGES)  # read by the C library when a process starts, so for the fresh ones only
        compare(arguments.forms, machine, arguments.processes)
    else:
        parser.error("two forms are compared")


if __name__ == "__main__":
    main()
