"""Time one form of a layer against another: `python -m bench.tasks.layer_forms pixel_dcl pixel_dcl:published`.

A form is a layer's name, with options after a colon: `pixel_dcl:published`, `transposed_conv:kernel=3`. Each process
times one form on all shapes; the two take turns, process by process, because rounds inside one are not replicates.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from bench.layers import build

SHAPES = [(32, 128, 4), (64, 64, 4), (128, 32, 4), (256, 16, 8)]  # channels, side, batch
FORMATS: dict[str, Any] = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")
Times = dict[str, list[float]]  # "forward" and "training": seconds, one a shape


@dataclass(frozen=True)
class Setting:
    """How the forms are run: memory format, precision, threads, rounds in each process."""

    memory_format: str
    bf16: bool
    threads: int
    rounds: int


def layer_for(form: str, channels: int) -> Any:
    """The 2-D, x2 layer a form names. Raises UserError for an unknown name or option."""
    name, _, text = form.partition(":")
    pairs = [pair.split("=") if "=" in pair else ["implementation", pair] for pair in text.split(",") if pair]
    options: dict[str, Any] = {key: int(value) if value.isdigit() else value for key, value in pairs}
    return build(name, channels, channels, **options)


def measure(form: str, setting: Setting) -> Times:
    """Seconds of a forward pass without gradients, and of a forward and backward pass, for each shape."""
    torch.set_num_threads(setting.threads)
    layout = FORMATS[setting.memory_format]
    times: Times = {"forward": [], "training": []}
    for channels, side, batch in SHAPES:
        layer = layer_for(form, channels).to(memory_format=layout)
        x = torch.randn(batch, channels, side, side).contiguous(memory_format=layout).requires_grad_()
        direction = torch.randn(batch, channels, 2 * side, 2 * side).contiguous(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=setting.bf16):
            with torch.no_grad():
                times["forward"].append(best_seconds(lambda: layer(x), setting.rounds))  # noqa: B023
            direction = direction.to(layer(x).dtype)
            times["training"].append(best_seconds(lambda: train(layer, x, direction), setting.rounds))  # noqa: B023
    return times


def train(layer: torch.nn.Module, x: torch.Tensor, direction: torch.Tensor) -> None:
    """One forward and backward pass; the gradients are dropped."""
    torch.autograd.grad(layer(x), [x, *layer.parameters()], direction)


def best_seconds(function: Callable[[], object], rounds: int) -> float:
    """The fastest of `rounds` calls, the one least disturbed, after two that are not counted."""
    seconds = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return min(seconds[2:])


def in_fresh_process(form: str, setting: Setting) -> Times:
    """`measure` in a process of its own. Raises CalledProcessError when it fails."""
    command = [sys.executable, "-m", "bench.tasks.layer_forms", form, "--one", json.dumps(vars(setting))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(forms: Sequence[str], setting: Setting, processes: int) -> None:
    """Print the first form's time over the second's: median of the processes for each shape, geometric mean, range."""
    runs = [[in_fresh_process(form, setting) for form in forms] for _ in range(processes)]
    for kind in ("forward", "training"):
        ratios = [[a / b for a, b in zip(first[kind], second[kind], strict=True)] for first, second in runs]
        shapes = [statistics.median(shape) for shape in zip(*ratios, strict=True)]
        means = sorted(map(geometric_mean, ratios))
        print(
            f"{forms[0]} / {forms[1]}, {kind}, {setting.memory_format}, {'bf16' if setting.bf16 else 'fp32'}: "
            f"{geometric_mean(shapes):.3f} (processes {means[0]:.3f} to {means[-1]:.3f}; "
            f"shapes {', '.join(f'{ratio:.2f}' for ratio in shapes)})",
            flush=True,
        )


def print_floor(form: str, setting: Setting) -> None:
    """Print how far the forward pass of `form` is from its arithmetic and from writing its output once.

    The floor is the multiply-adds at the better of two measured rates, of a matrix product and of a wide 3x3
    convolution, and the output's bytes at the measured copy rate (read and written).
    """
    torch.set_num_threads(setting.threads)
    a, image, kernel = torch.randn(2048, 2048), torch.randn(4, 128, 32, 32), torch.randn(512, 128, 3, 3)
    flops = {
        "matrix product": 2 * 2048**3 / best_seconds(lambda: a @ a, setting.rounds),
        "3x3 convolution": 8
        * 1024
        * kernel.numel()
        / best_seconds(lambda: torch.nn.functional.conv2d(image, kernel, padding=1), setting.rounds),
    }
    source, target = torch.randn(2**24), torch.empty(2**24)
    copied = 2**26 / best_seconds(lambda: target.copy_(source), setting.rounds)
    print(
        ", ".join(f"{name} {rate / 1e9:.0f} GFLOP/s" for name, rate in flops.items()), f"copy {copied / 1e9:.1f} GB/s"
    )
    forward = measure(form, setting)["forward"]
    for (channels, side, batch), seconds in zip(SHAPES, forward, strict=True):
        arithmetic = 2 * layer_for(form, channels).multiply_adds() * side**2 * batch / max(flops.values())
        writing = 16 * channels * side**2 * batch / copied
        print(
            f"{form} {channels}x{side}x{batch}: {seconds * 1e3:.1f} ms, arithmetic {arithmetic * 1e3:.1f}, "
            f"writing {writing * 1e3:.1f}, {seconds / (arithmetic + writing):.2f} times the floor"
        )


def print_convolutions(form: str, setting: Setting) -> None:
    """Print which share of its time a form spends in convolutions, and the gain if all else took no time at all.

    Two forms of the same arithmetic can differ by no more than that gain. The share is the profiler's, of one pass.
    """
    torch.set_num_threads(setting.threads)
    layout = FORMATS[setting.memory_format]
    bounds: dict[str, list[float]] = {"forward": [], "training": []}
    for channels, side, batch in SHAPES:
        layer = layer_for(form, channels).to(memory_format=layout)
        x = torch.randn(batch, channels, side, side).contiguous(memory_format=layout).requires_grad_()
        direction = torch.randn(batch, channels, 2 * side, 2 * side).contiguous(memory_format=layout)

        def forward(layer: torch.nn.Module = layer, x: torch.Tensor = x) -> None:
            with torch.no_grad():
                layer(x)

        passes: dict[str, Callable[[], object]] = {"forward": forward, "training": partial(train, layer, x, direction)}
        for kind, step in passes.items():
            shares = [convolution_share(step) for _ in range(setting.rounds)]
            bounds[kind].append(1 / statistics.median(shares))
    for kind, gains in bounds.items():
        shapes = ", ".join(f"{gain:.2f}" for gain in gains)
        print(f"{form}, {kind}, {setting.memory_format}: at most {geometric_mean(gains):.3f} (shapes {shapes})")


def convolution_share(step: Callable[[], object]) -> float:
    """Time in convolutions and their backward over the whole time of one call, after one that is not counted."""
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        step()
        whole = time.perf_counter() - start
    averages = profiler.key_averages()
    inside = sum(event.cpu_time_total for event in averages if event.key in CONVOLUTIONS)
    return 1e-6 * inside / whole


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forms", nargs="+", metavar="FORM")
    parser.add_argument("--memory-format", choices=FORMATS, default="contiguous")
    parser.add_argument("--bf16", action="store_true", help="under autocast")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=7)
    parser.add_argument("--floor", action="store_true", help="print the distance of the first form from its arithmetic")
    parser.add_argument(
        "--convolutions", action="store_true", help="print what the first form would gain without the rest"
    )
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.forms[0], Setting(**arguments.one))))
        return
    setting = Setting(arguments.memory_format, arguments.bf16, arguments.threads, arguments.rounds)
    if arguments.floor:
        print_floor(arguments.forms[0], setting)
        return
    if arguments.convolutions:
        print_convolutions(arguments.forms[0], setting)
        return
    compare(arguments.forms, setting, arguments.processes)


if __name__ == "__main__":
    main()
