"""The figures of a cell that do not vary with the mood of the machine, and how far each may move."""

from __future__ import annotations

from bench.cell import Cell
from bench.gate.subjects import Subjects
from bench.tasks.base import Measurement


def exact_figures(subjects: Subjects, cell: Cell) -> list[Measurement]:
    """Parameters, FLOPs, bytes and a checksum of the output for a timed cell; the quality of what another trains.

    Raises RuntimeError if the allocator's peak is not the same twice, for then it is no exact figure.
    """
    import torch

    from bench.tasks import TASKS
    from bench.tasks.speed import UNITS, costs

    if cell not in subjects.timed:
        torch.set_num_threads(cell.threads)
        return TASKS.build(cell.task.name, **cell.task.options).run(cell, None).measurements
    subject = subjects.prepare(cell)
    first, second = costs(subject), costs(subject)
    if first != second:
        raise RuntimeError(f"{subjects.names[cell.id]}: costs differ between two measurements: {first}, {second}")
    figures = [Measurement(name, value, UNITS[name], "lower", "never") for name, value in first.items()]
    return [*figures, Measurement("output_checksum", output_checksum(subject), "1", "lower", "never")]


def output_checksum(subject: object) -> float:
    """Cosine of the network's output to white noise, times the root of its size: about normal, of any scale.

    A relative change e of the output moves it by about e, so rounding moves it by 1e-6 and another layer by 1.
    """
    import torch

    from bench.tasks.speed import Subject

    assert isinstance(subject, Subject)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(subject.x.shape, generator=generator).to(subject.x)
    with torch.inference_mode():
        output = subject.network.eval()(x)
    y = (output[0] if isinstance(output, tuple) else output).double().cpu().flatten()
    noise = torch.randn(y.shape, generator=generator, dtype=torch.double)
    return float(y @ noise / y.norm())
