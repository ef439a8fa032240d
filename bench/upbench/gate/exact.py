"""The figures of a cell that do not vary with the mood of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upbench.cell import Cell
from upbench.gate.subjects import Subjects
from upbench.measurement import Measurement

if TYPE_CHECKING:
    from upbench.tasks.speed import Subject

CHECKSUM = "output_checksum"


def take_exact_figures(subjects: Subjects, cell: Cell) -> list[Measurement]:
    """Take the figures of a cell that repeat.

    Returns:
        Parameters, FLOPs, bytes and a checksum of the output for a cell that is timed. For a cell that trains, what
        `upbench run` measures of it, to the bit.

    Raises:
        RuntimeError: the costs are not the same twice, for then they are no exact figures.
    """
    if cell not in subjects.timed:
        from upbench.tasks.settled import run_settled

        return run_settled(cell, None).measurements
    from upbench.tasks.speed import UNITS, measure_costs

    subject = subjects.prepare(cell)
    # twice: what is not the same again is not exact
    first = measure_costs(subject)
    second = measure_costs(subject)
    if first != second:
        raise RuntimeError(f"{subjects.names[cell.id]}: costs differ between two measurements: {first}, {second}")
    figures = [Measurement(name, value, UNITS[name], "lower", "never") for name, value in first.items()]
    checksum = compute_output_checksum(subject)
    figures.append(Measurement(CHECKSUM, checksum, "1", "lower", "never"))
    return figures


def compute_output_checksum(subject: Subject) -> float:
    """Compute the cosine of the network's output to white noise, times the root of its size.

    The checksum is about normal, whatever the scale of the output. A relative change e of the output moves it by about
    e, so rounding moves it by 1e-6 and another layer by 1.
    """
    import torch

    # drawn on the CPU, so that the input is the same on every device
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(subject.x.shape, generator=generator)
    x = x.to(subject.x)
    network = subject.network.eval()
    with torch.inference_mode():
        output = network(x)
    # a network with auxiliary outputs returns its main one first
    main = output[0] if isinstance(output, tuple) else output
    y = main.double().cpu()
    y = y.flatten()
    noise = torch.randn(y.shape, generator=generator, dtype=torch.double)
    return float(y @ noise / y.norm())
