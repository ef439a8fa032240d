"""The cells of a gate's grid: `python -m bench.gate.cells [GRID]` checks them once, for many processes to time."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.cell import Cell
from bench.errors import UserError

GRID = Path(__file__).parents[2] / "ablations" / "gate.toml"


def read_cells(file: Path | None, grid: Path | None) -> dict[str, Cell]:
    """Cells by id, from a file that `write_cells` made, or else from a grid, which takes seconds to check.

    Raises UserError for a file that is missing or damaged and for whatever `load_grid` refuses.
    """
    if file is None:
        from bench.run.grid import load_grid

        return load_grid(grid or GRID).cells
    try:
        cells = [Cell.from_json(cell) for cell in json.loads(file.read_bytes())]
    except OSError as error:
        raise UserError(f"cells file {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"cells file {file} is damaged: {error}") from None
    return {cell.id: cell for cell in cells}


def aligned(base: Mapping[str, Cell], head: Mapping[str, Cell]) -> dict[str, str]:
    """The id under which head knows each cell of base, where that differs: head has options that base had not yet.

    A cell that leaves a new option at its default is the same cell.
    """
    elsewhere = {cell_id: _with_defaults(cell).id for cell_id, cell in base.items() if cell_id not in head}
    return {cell_id: today for cell_id, today in elsewhere.items() if today in head and today not in base}


def _with_defaults(cell: Cell) -> Cell:
    """The cell with every option that its components have now; as it is if they no longer take its own."""
    from bench.run.grid import REGISTRIES

    specs = {key: spec for key in REGISTRIES if (spec := getattr(cell, key)) is not None}
    try:
        complete = {
            key: {"name": spec.name, **REGISTRIES[key].complete(spec.name, spec.options)} for key, spec in specs.items()
        }
    except UserError:
        return cell
    return Cell.from_json(cell.to_json() | complete)


def main() -> None:
    """Print the cells as JSON; status 2 and one line if the grid is refused."""
    try:
        cells = read_cells(None, Path(sys.argv[1]) if sys.argv[1:] else None)
    except UserError as error:
        sys.exit(f"{error}")
    print(json.dumps([cell.to_json() for cell in cells.values()]))


if __name__ == "__main__":
    main()
