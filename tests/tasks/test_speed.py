"""Time, memory and arithmetic: exact where they are exact, and of the right subject."""

from __future__ import annotations

import itertools
import random
import time
from functools import partial
from typing import Any

import pytest
import torch
from upbench.cell import Cell, MemoryFormat, Spec
from upbench.layers import LAYERS, build
from upbench.models import MODELS
from upbench.tasks import TASKS
from upbench.tasks.memory import measure_peak
from upbench.tasks.timing import time_interleaved


@pytest.fixture(autouse=True)
def _no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of pytest-xdist runs these tests as the only one on its processor; pytest-benchmark cannot know."""
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)


BRIEF = {"blocks": 1, "seconds": 1e-6}  # for what does not look at times


def cell(
    layer: str, model: str = "single", *, dims: int = 2, memory_format: MemoryFormat = "contiguous", **options: object
) -> Cell:
    small = {"batch": 2, "side": 16, "in_channels": 4, "out_channels": 4, "blocks": 3, "seconds": 0.02}
    sizes = {"channels": 2, "depth": 3, "latent": 8, "backbone": "resnet18", "output_stride": 32, "dims": dims}
    known = MODELS.options(model)
    return Cell(
        Spec("speed", TASKS.complete("speed", {**small, **options})),
        Spec(model, MODELS.complete(model, {key: value for key, value in sizes.items() if key in known})),
        Spec(layer, LAYERS.complete(layer, {})),
        None,
        memory_format=memory_format,
    )


def measure(subject: Cell) -> dict[str, float]:
    task = TASKS.build("speed", **subject.task.options)
    result = task.run(subject, None)
    assert {measurement.metric for measurement in result.measurements} == set(task.measures())
    return {measurement.metric: measurement.value for measurement in result.measurements}


@pytest.mark.parametrize("layer", LAYERS)
def test_costs_of_a_layer_alone_are_those_of_its_formula(layer: str) -> None:
    found = measure(cell(layer))
    built = LAYERS.build(layer, 4, 4)
    assert found["parameters"] == sum(parameter.numel() for parameter in built.parameters())
    assert found["flops"] == 2 * built.multiply_adds() * 2 * 16 * 16
    output = 2 * 4 * 32 * 32 * 4
    assert found["forward_peak"] >= output
    assert found["train_peak"] > found["forward_peak"]
    assert min(found.values()) > 0


@pytest.mark.parametrize(
    ("model", "dims", "memory_format"),
    [
        ("single", 1, "contiguous"),
        ("single", 3, "channels_last"),
        ("unet", 1, "contiguous"),
        ("unet", 3, "channels_last"),
    ],
)
def test_signals_and_volumes_have_costs_of_their_own(model: str, dims: int, memory_format: MemoryFormat) -> None:
    found = measure(cell("ipixel_dcl", model, dims=dims, side=8, memory_format=memory_format, **BRIEF))
    assert min(found.values()) > 0
    if model == "single":
        built = LAYERS.build("ipixel_dcl", 4, 4, dims=dims)
        assert found["parameters"] == sum(parameter.numel() for parameter in built.parameters())
        assert found["flops"] == 2 * built.multiply_adds() * 2 * 8**dims


@pytest.mark.parametrize("model", MODELS)
def test_exact_figures_repeat_to_the_byte(model: str) -> None:
    subject = cell("pixel_dcl", model, side=32, **BRIEF)
    first, second = measure(subject), measure(subject)
    exact = [name for name in first if "time" not in name]
    assert [first[name] for name in exact] == [second[name] for name in exact]
    with torch.device("meta"):
        network = MODELS.build(model, partial(build, "pixel_dcl"), 4, 4, 32, **subject.model.options)
    # of a GAN those of its generator: the discriminator holds no layer
    assert first["parameters"] == sum(parameter.numel() for parameter in network.parameters())


def test_the_reference_against_itself_is_one() -> None:
    found = measure(cell("transposed_conv", blocks=9, seconds=0.2))
    for name in ("forward_peak", "train_peak", "parameters", "flops"):
        assert found[f"{name}_ratio"] == 1
    assert found["forward_time_ratio"] == pytest.approx(1, abs=0.5)


def test_the_peak_is_the_highest_moment_not_the_sum() -> None:
    def step() -> torch.Tensor:
        a = torch.empty(1000, dtype=torch.uint8)
        b = torch.empty(5000, dtype=torch.uint8)
        del a, b
        return torch.empty(2000, dtype=torch.uint8)

    assert measure_peak(step, "cpu") == pytest.approx(6000, abs=256)


def test_timing_tells_slow_from_fast_and_interleaves() -> None:
    calls: list[str] = []

    def sleeper(name: str, seconds: float):
        def step() -> None:
            calls.append(name)
            time.sleep(seconds)

        return step

    steps = {"fast": sleeper("fast", 0.001), "slow": sleeper("slow", 0.004)}
    samples = time_interleaved(steps, 5, 0.2, random.Random(0))
    assert {name: len(blocks) for name, blocks in samples.items()} == {"fast": 5, "slow": 5}
    assert all(samples["fast"]), "every block has a round"
    for fast, slow in zip(samples["fast"], samples["slow"], strict=True):
        assert min(slow) > min(fast)
    switches = sum(one != other for one, other in itertools.pairwise(calls))
    assert switches >= 5, "blocks alternate"


def test_a_failing_step_is_told() -> None:
    rounds = iter(range(4))

    def step() -> None:
        if next(rounds) == 3:
            raise ValueError("of the test")

    with pytest.raises(RuntimeError, match="of the test"):
        time_interleaved({"only": step}, 2, 0.001, random.Random(0))


@pytest.mark.parametrize(
    ("layer", "changes", "said"),
    [
        ("carafe", {"dims": 3}, "dims must be 2 for CARAFE, got 3"),
        ("pixel_dcl", {"dims": 1, "memory_format": "channels_last"}, "'channels_last' needs 2 or 3 dimensions, got 1"),
    ],
)
@pytest.mark.parametrize("model", ["single", "unet"])
def test_dimensions_that_do_not_go_together_are_refused(
    model: str, layer: str, changes: dict[str, Any], said: str
) -> None:
    subject = cell(layer, model, **changes)
    with pytest.raises(ValueError, match=said):
        TASKS.build("speed", **subject.task.options).check(subject, None)


@pytest.mark.parametrize("changes", [{"batch": 0}, {"seconds": 0.0}, {"blocks": -1}])
def test_numbers_that_make_no_sense_are_refused(changes: dict[str, float]) -> None:
    subject = cell("pixel_dcl", **changes)
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be above 0"):
        TASKS.build("speed", **subject.task.options).check(subject, None)
