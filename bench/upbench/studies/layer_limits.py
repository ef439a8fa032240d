"""How fast could a form of a layer be at best? Run `python -m upbench.studies.layer_limits floor FORM`.

`floor` compares the forward pass with the time that its arithmetic and the writing of its output would take alone.
`convolutions` says what would be gained if everything but the convolutions took no time. Forms: see `layer_forms`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch.nn.functional import conv2d

from upbench.errors import UserError
from upbench.studies.layer_forms import (
    MODES,
    SHAPES,
    Conditions,
    add_conditions,
    best_seconds,
    build_layer,
    geometric_mean,
    list_ratios,
    make_subject,
    parse_form,
    time_form,
)

# the profiler's names; none of these calls another of them, so their times add up
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward", "mkldnn::_convolution_pointwise_")
GIGA = 1e9
BYTES = 4  # of a number in fp32


def print_floor(text: str, conditions: Conditions) -> None:
    """Print how far the forward pass of a form is from its arithmetic and from writing its output once.

    The floor is the multiply-adds at the better of two measured rates, of a matrix product and of a wide 3x3
    convolution, and the output's bytes at the measured copy rate (read and written).
    """
    form = parse_form(text)
    torch.set_num_threads(conditions.threads)
    product_rate = _measure_product(conditions.rounds)
    convolution_rate = _measure_convolution(conditions.rounds)
    copy_rate = _measure_copy(conditions.rounds)
    print(
        f"matrix product {product_rate / GIGA:.0f} GFLOP/s, "
        f"3x3 convolution {convolution_rate / GIGA:.0f} GFLOP/s, copy {copy_rate / GIGA:.1f} GB/s"
    )
    best_rate = max(product_rate, convolution_rate)
    forward = time_form(form, conditions)["forward"]
    for shape, seconds in zip(SHAPES, forward, strict=True):
        channels, side, batch = shape
        pixels = side**2 * batch
        layer = build_layer(form, channels)
        flops = 2 * pixels * layer.multiply_adds()
        written = BYTES * channels * 4 * pixels  # four output pixels for one of the input
        arithmetic = flops / best_rate
        writing = written / copy_rate
        floor = arithmetic + writing
        print(
            f"{text} {channels}x{side}x{batch}: {_to_ms(seconds)} ms, arithmetic {_to_ms(arithmetic)}, "
            f"writing {_to_ms(writing)}, {seconds / floor:.2f} times the floor"
        )


def _to_ms(seconds: float) -> str:
    return f"{1e3 * seconds:.1f}"


def _measure_product(rounds: int) -> float:
    """Measure the rate of a matrix product, in FLOP/s."""
    side = 2048
    a = torch.randn(side, side)
    seconds = best_seconds(lambda: a @ a, rounds)
    return 2 * side**3 / seconds


def _measure_convolution(rounds: int) -> float:
    """Measure the rate of a wide 3x3 convolution, in FLOP/s."""
    image = torch.randn(4, 128, 32, 32)
    kernel = torch.randn(512, 128, 3, 3)
    seconds = best_seconds(lambda: conv2d(image, kernel, padding=1), rounds)
    pixels = 4 * 32 * 32
    flops = 2 * pixels * kernel.numel()
    return flops / seconds


def _measure_copy(rounds: int) -> float:
    """Measure the rate of a copy, in bytes of the source a second."""
    numbers = 2**24  # 64 MiB: far more than a core's own caches hold
    source = torch.randn(numbers)
    target = torch.empty(numbers)
    seconds = best_seconds(lambda: target.copy_(source), rounds)
    return BYTES * numbers / seconds


def print_convolutions(text: str, conditions: Conditions) -> None:
    """Print the gain of a form if everything but its convolutions took no time at all.

    Two forms of the same arithmetic can differ by no more than that gain. The time in convolutions is the profiler's.
    """
    form = parse_form(text)
    torch.set_num_threads(conditions.threads)
    for mode in MODES:
        gains = []
        for shape in SHAPES:
            subject = make_subject(form, shape, conditions.device)
            step = subject.steps()[mode]
            # the median, because a profiled call is disturbed as any other is
            shares = [convolution_share(step) for _ in range(conditions.rounds)]
            gain = 1 / statistics.median(shares)
            gains.append(gain)
        listed = list_ratios(gains)
        print(f"{text}, {mode}: at most {geometric_mean(gains):.3f} (shapes {listed})")


def convolution_share(step: Callable[[], object]) -> float:
    """Measure the share of one call that is spent in convolutions and their backward, after a call not counted."""
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        start = time.perf_counter()
        step()
        whole = time.perf_counter() - start
    microseconds = 0.0
    for event in profiler.key_averages():
        if event.key in CONVOLUTIONS:
            microseconds += event.cpu_time_total
    return 1e-6 * microseconds / whole


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(
        prog="python -m upbench.studies.layer_limits",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("limit", choices=("floor", "convolutions"))
    parser.add_argument("form", metavar="FORM")
    add_conditions(parser)
    arguments = parser.parse_args()
    conditions = Conditions(arguments.device, arguments.threads, arguments.rounds)
    try:
        if arguments.limit == "floor":
            print_floor(arguments.form, conditions)
        else:
            print_convolutions(arguments.form, conditions)
    except UserError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
