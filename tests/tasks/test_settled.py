"""The state in which a cell's arithmetic repeats to the bit, whatever the process did before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_info
from upbench.cell import Cell, Spec
from upbench.data import DATA
from upbench.layers import LAYERS
from upbench.models import MODELS
from upbench.tasks import TASKS
from upbench.tasks.settled import run_settled, settled


@pytest.fixture(autouse=True)
def _same_threads_after() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def cell(threads: int = 1, seed: int = 0) -> Cell:
    short = {"steps": 2, "batch": 2, "samples": 8, "metrics": ["checkerboard", "reconstruction_rmse"]}
    return Cell(
        Spec("generation", TASKS.complete("generation", short)),
        Spec("vae", MODELS.complete("vae", {"channels": 4, "latent": 8})),
        Spec("pixel_dcl", LAYERS.complete("pixel_dcl", {})),
        Spec("earth", DATA.complete("earth", {"size": 32})),
        seed=seed,
        threads=threads,
    )


def test_a_cell_repeats_to_the_bit_whatever_ran_before() -> None:
    first = run_settled(cell(), None)
    torch.set_num_threads(2)
    torch.manual_seed(17)
    torch.rand(5)
    second = run_settled(cell(), None)
    assert first.measurements == second.measurements
    assert first.raw == second.raw
    for name, array in first.arrays.items():
        assert np.array_equal(array, second.arrays[name])


def test_another_seed_gives_other_figures() -> None:
    assert run_settled(cell(), None).raw["loss"] != run_settled(cell(seed=1), None).raw["loss"]


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_and_numpy_have_the_threads_of_the_cell(threads: int) -> None:
    with settled(cell(threads)):
        assert torch.get_num_threads() == threads
        assert {pool["num_threads"] for pool in threadpool_info()} == {threads}


def test_the_seed_is_that_of_the_cell() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    with settled(cell(seed=5)):
        assert torch.equal(torch.rand(3), expected)


def test_threads_are_what_they_were_after_it_even_if_the_cell_fails() -> None:
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="of the test"), settled(cell(threads=1)):
        raise RuntimeError("of the test")
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
