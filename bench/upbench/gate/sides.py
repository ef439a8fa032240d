"""The two sides of a comparison: results folders of `upbench run`, or recordings of `pytest bench/`, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from upbench.cell import Cell
from upbench.errors import UserError
from upbench.gate.recording import Recording, make_anchor_ratio, read_recording
from upbench.measurement import Better, Measurement, Varies
from upbench.store.record import Record
from upbench.store.results import Results, read_results

FigureKey = tuple[str, str]  # the id of a cell, and a metric of it
MACHINE = ("processor", "cores", "gpu", "timer")  # what times depend on


@dataclass(frozen=True)
class Series:
    """The replicates of one figure.

    Attributes:
        values: one for each replicate; a single one where the figure does not vary.
        unit: the unit of the values.
        better: the direction that is an improvement.
        varies: what the figure differs with, see `Measurement`.
    """

    values: tuple[float, ...]
    unit: str
    better: Better
    varies: Varies


@dataclass
class Side:
    """What one side of a comparison holds.

    Attributes:
        source: the file or folder it was read from.
        figures: the replicates by (cell id, metric). Where the seed only makes replicates, the cell is that of seed 0.
        cells: the cells by id.
        lost: why a cell has no figures, by id.
        machine: what its times depend on, as MACHINE names it.
        torch: the version of torch.
        data: the identity of the splits that a cell saw, by id.
    """

    source: Path
    figures: dict[FigureKey, Series] = field(default_factory=dict)
    cells: dict[str, Cell] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    machine: tuple[str, ...] = ()
    torch: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    def renamed(self, ids: Mapping[str, str]) -> Side:
        """The same side with other ids for some cells."""

        def rename_keys(table: dict[str, Any]) -> dict[str, Any]:
            """A table by cell, by the other ids."""
            return {ids.get(cell_id, cell_id): value for cell_id, value in table.items()}

        figures = {}
        for (cell_id, metric), series in self.figures.items():
            new_id = ids.get(cell_id, cell_id)
            figures[new_id, metric] = series
        return replace(
            self,
            figures=figures,
            cells=rename_keys(self.cells),
            lost=rename_keys(self.lost),
            data=rename_keys(self.data),
        )

    def add_exact(self, cell_id: str, figure: Measurement) -> None:
        """Add a figure that does not vary. Raises UserError if it is known with another value."""
        key = (cell_id, figure.metric)
        series = Series((figure.value,), figure.unit, figure.better, figure.varies)
        known = self.figures.setdefault(key, series)
        if known.values != series.values:
            raise UserError(
                f"{self.source}: {figure.metric} of cell {cell_id} should not vary, "
                f"but is {known.values[0]} and {figure.value}"
            )

    def add_replicate(self, cell_id: str, figure: Measurement) -> None:
        """Add one more replicate of a figure that varies with the machine."""
        key = (cell_id, figure.metric)
        known = self.figures.get(key)
        values = known.values if known else ()
        self.figures[key] = Series((*values, figure.value), figure.unit, figure.better, "machine")


def read_side(path: Path) -> Side:
    """Read one side of a comparison.

    Raises UserError for what is neither a results folder nor recordings, and for anything damaged in it.
    """
    if (path / "grid.json").is_file():
        return make_results_side(read_results(path))
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise UserError(
                f"{path} holds neither a grid.json of `upbench run` nor recordings (*.json) of `pytest bench/`"
            )
        return _make_recordings_side(path, [read_recording(file) for file in files])
    if not path.exists():
        raise UserError(f"{path} does not exist; beside it there are: {_list_neighbours(path)}")
    return _make_recordings_side(path, [read_recording(path)])


def make_results_side(results: Results) -> Side:
    """The side of a results folder. Raises UserError if its cells were measured on several machines."""
    environments = [record.environment for record in results.records.values()]
    machine, torch = _find_machine(environments, results.root)
    side = Side(results.root, machine=machine, torch=torch)
    for cell_id, cell in results.grid.cells.items():
        record = results.records.get(cell_id)
        if record is None:
            side.cells.setdefault(cell_id, cell)
            side.lost[cell_id] = "no result"
            continue
        for measurement, owner in _find_owners(record, cell):
            owner_id = owner.id
            side.cells[owner_id] = owner
            if measurement.varies == "machine":
                side.add_replicate(owner_id, measurement)
            else:
                side.add_exact(owner_id, measurement)
        if record.outcome != "ok":
            side.cells.setdefault(cell_id, cell)
            side.lost[cell_id] = f"{record.outcome}: {record.reason}"
        elif "data" in record.raw:
            side.data[cell_id] = record.raw["data"]
    return side


def _make_recordings_side(path: Path, recordings: Iterable[Recording]) -> Side:
    """The side of some processes. Raises UserError if two of them were made on different machines."""
    recordings = list(recordings)
    environments = [recording.recorded.environment for recording in recordings]
    machine, torch = _find_machine(environments, path)
    side = Side(path, machine=machine, torch=torch)
    for recording in recordings:
        recorded = recording.recorded
        side.lost.update(recorded.failed)
        for cell_id, cell in recorded.cells.items():
            side.cells[cell_id] = Cell.from_json(cell)
        for cell_id, figures in (recorded.exact or {}).items():
            for figure in figures:
                side.add_exact(cell_id, figure)
    # after the exact figures, so that a cell's costs come before its times in every report
    for recording in recordings:
        for (cell_id, mode), ratio in recording.ratios().items():
            side.add_replicate(cell_id, make_anchor_ratio(mode, ratio))
    return side


def _find_owners(record: Record, cell: Cell) -> Iterator[tuple[Measurement, Cell]]:
    """Each measurement with the cell it belongs to: where the seed only makes replicates, the cell of seed 0."""
    for measurement in record.measurements:
        if measurement.varies == "seed":
            yield measurement, cell
        # times in seconds are left out: they compare only within one process
        elif measurement.varies == "never" or measurement.metric.endswith("_ratio"):
            yield measurement, replace(cell, seed=0)


def _find_machine(environments: list[dict[str, Any]], path: Path) -> tuple[tuple[str, ...], str]:
    """The machine and the version of torch that all environments share. Raises UserError if they do not share them."""
    machines: set[tuple[str, ...]] = set()
    versions: set[str] = set()
    for environment in environments:
        machine = tuple(str(environment.get(key)) for key in MACHINE)
        machines.add(machine)
        libraries = environment.get("libraries", {})
        versions.add(str(libraries.get("torch")))
    if len(machines) > 1 or len(versions) > 1:
        raise UserError(
            f"{path} mixes machines or versions of torch, {sorted(machines)} {sorted(versions)}; keep them apart"
        )
    if not environments:
        return (), ""
    return machines.pop(), versions.pop()


def _list_neighbours(path: Path) -> str:
    """What lies beside a path that does not exist and could have been meant."""
    neighbours = [each for each in path.parent.glob("*") if each.is_dir() or each.suffix == ".json"]
    names = [each.name for each in sorted(neighbours)]
    return ", ".join(names) or "nothing"
