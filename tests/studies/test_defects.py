"""The defects for the gate fit the code they are put into, and do what their names say."""

from __future__ import annotations

import inspect
import typing
from typing import Any

import pytest
import torch
from upbench.studies.gate_defects import CLASS, EXACT, SAME, SLOWER, Variant

from tests.conftest import ROOT

LARGER, ONE_MORE, VANISHED = EXACT


def load(variant: Variant) -> Any:
    """The layer's class from its file with the defect."""
    code = (ROOT / variant.file).read_text() + variant.append
    names: dict[str, Any] = {"__name__": "upbench.layers.pixel_dcl"}
    exec(compile(code, str(variant.file), "exec"), names)
    return names[CLASS]


def upsampled(variant: Variant, x: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(0)
    return load(variant)(4, 4, dims=2)(x)


@pytest.mark.parametrize("variant", [*SLOWER, LARGER, ONE_MORE], ids=lambda variant: variant.name)
def test_a_defect_leaves_the_output_as_it_was(variant: Variant) -> None:
    x = torch.randn(1, 4, 6, 6)
    assert torch.equal(upsampled(variant, x), upsampled(SAME, x))


def test_one_parameter_more_is_one_and_the_options_stay() -> None:
    plain, larger = load(SAME), load(ONE_MORE)
    counts = [sum(p.numel() for p in layer(4, 4, dims=2).parameters()) for layer in (plain, larger)]
    assert counts[1] == counts[0] + 1
    assert inspect.signature(larger) == inspect.signature(plain)
    assert typing.get_type_hints(larger.__init__) == typing.get_type_hints(plain.__init__)


def test_the_cell_that_vanishes_is_in_the_grid_of_the_gate() -> None:
    assert VANISHED.remove in (ROOT / VANISHED.file).read_text()
