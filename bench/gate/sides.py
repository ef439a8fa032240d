"""The two sides of a comparison: results folders of `upbench run`, or recordings of `pytest bench/`, in one form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from bench.cell import Cell
from bench.errors import UserError
from bench.gate.recording import ExactFigure, Recording, read_recording
from bench.run.store import Record, Store, StoredMeasurement, read_all

Kind = Literal["never", "seed", "machine"]
Figure = ExactFigure | StoredMeasurement
MACHINE = ("processor", "cores", "gpu", "timer")  # what times depend on


@dataclass(frozen=True)
class Series:
    """The replicates of one figure. varies: with nothing, with the seed, or with the mood of the machine."""

    values: tuple[float, ...]
    unit: str
    better: str
    varies: Kind


@dataclass(frozen=True)
class Side:
    """figures by (cell id, metric), where a seed that only makes replicates is 0; cells by id; lost: why one has none.

    machine: what its times depend on; torch: its version; data: identity of the splits by cell.
    """

    source: Path
    figures: dict[tuple[str, str], Series]
    cells: dict[str, Cell]
    lost: dict[str, str]
    machine: tuple[str, ...]
    torch: str
    data: dict[str, Any]

    def renamed(self, ids: Mapping[str, str]) -> Side:
        """The same side with other ids for some cells."""

        def by_id(table: dict[str, Any]) -> dict[str, Any]:
            return {ids.get(cell_id, cell_id): value for cell_id, value in table.items()}

        figures = {(ids.get(cell_id, cell_id), metric): each for (cell_id, metric), each in self.figures.items()}
        return replace(self, figures=figures, cells=by_id(self.cells), lost=by_id(self.lost), data=by_id(self.data))


def read_side(path: Path) -> Side:
    """Raises UserError for what is neither a results folder nor recordings, and for anything damaged in it."""
    if (path / "grid.json").is_file():
        return _from_store(path)
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise UserError(
                f"{path} holds neither a grid.json of `upbench run` nor recordings (*.json) of `pytest bench/`"
            )
        return _from_recordings(path, [read_recording(file) for file in files])
    if not path.exists():
        near = sorted(
            sibling.name for sibling in path.parent.glob("*") if sibling.is_dir() or sibling.suffix == ".json"
        )
        raise UserError(f"{path} does not exist; beside it there are: {', '.join(near) or 'nothing'}")
    return _from_recordings(path, [read_recording(path)])


def _from_recordings(path: Path, recordings: Iterable[Recording]) -> Side:
    """A side from processes of one machine. Raises UserError if two of them were made on different machines."""
    recordings = list(recordings)
    cells: dict[str, Cell] = {}
    gathered: dict[tuple[str, str], list[float]] = {}
    figures: dict[tuple[str, str], Series] = {}
    lost: dict[str, str] = {}
    for recording in recordings:
        lost |= recording.recorded.failed
        cells |= {cell_id: Cell.from_json(cell) for cell_id, cell in recording.recorded.cells.items()}
        for (cell_id, mode), ratio in recording.ratios().items():
            gathered.setdefault((cell_id, f"{mode}_time_ratio"), []).append(ratio)
        for cell_id, measured in (recording.recorded.exact or {}).items():
            for figure in measured:
                _add_exact(figures, (cell_id, figure.metric), figure, path)
    figures |= {key: Series(tuple(values), "x anchor", "lower", "machine") for key, values in gathered.items()}
    machine, torch = _one_machine([recording.recorded.environment for recording in recordings], path)
    return Side(path, figures, cells, lost, machine, torch, {})


def _from_store(path: Path) -> Side:
    store = Store(path)
    grid = store.read_grid()
    records = read_all(store, grid)
    cells: dict[str, Cell] = {}
    figures: dict[tuple[str, str], Series] = {}
    lost, data = dict[str, str](), dict[str, Any]()
    for cell_id, cell in grid.cells.items():
        record = records[cell_id]
        for measurement, its_cell in _measured(record, cell):
            cells[its_cell.id] = its_cell
            key = (its_cell.id, measurement.metric)
            if measurement.varies == "machine":
                before = figures.get(key)
                values = (*(before.values if before else ()), measurement.value)
                figures[key] = Series(values, measurement.unit, measurement.better, "machine")
            else:
                _add_exact(figures, key, measurement, path)
        if record is None or record.outcome != "ok":
            cells.setdefault(cell_id, cell)
            lost[cell_id] = f"{record.outcome}: {record.reason}" if record else "no result"
        elif "data" in record.raw:
            data[cell_id] = record.raw["data"]
    machine, torch = _one_machine([record.environment for record in records.values() if record], path)
    return Side(path, figures, cells, lost, machine, torch, data)


def _measured(record: Record | None, cell: Cell) -> Iterator[tuple[StoredMeasurement, Cell]]:
    """Each measurement with the cell it belongs to: where the seed makes replicates, the cell of seed 0.

    Times in seconds are left out: they compare only within one process.
    """
    for measurement in record.measurements if record else ():
        if measurement.varies == "seed":
            yield measurement, cell
        elif measurement.varies == "never" or measurement.metric.endswith("_ratio"):
            yield measurement, replace(cell, seed=0)


def _add_exact(figures: dict[tuple[str, str], Series], key: tuple[str, str], figure: Figure, path: Path) -> None:
    kind: Any = figure.varies
    known = figures.setdefault(key, Series((figure.value,), figure.unit, figure.better, kind))
    if known.values != (figure.value,):
        raise UserError(
            f"{path}: {key[1]} of cell {key[0]} should not vary, but is {known.values[0]} and {figure.value}"
        )


def _one_machine(environments: list[dict[str, Any]], path: Path) -> tuple[tuple[str, ...], str]:
    machines = {tuple(str(environment.get(key)) for key in MACHINE) for environment in environments}
    versions = {str(environment.get("libraries", {}).get("torch")) for environment in environments}
    if len(machines) > 1 or len(versions) > 1:
        raise UserError(
            f"{path} mixes machines or versions of torch, {sorted(machines)} {sorted(versions)}; keep them apart"
        )
    return (machines.pop() if machines else ()), (versions.pop() if versions else "")
