"""The cells of a gate's grid: `python -m upbench.gate.cells [GRID]` checks them once, for many processes to time."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from upbench.cell import COMPONENTS, Cell
from upbench.errors import UserError

SHIPPED_GRID = Path(__file__).parents[1] / "ablations" / "gate.toml"
PLACES = (Path("ablations", "gate.toml"), Path("gate.toml"))  # where a checkout may have a grid of its own


def find_own_grid(root: Path) -> Path | None:
    """The checkout's own grid, or None if it has none."""
    for place in PLACES:
        if (root / place).is_file():
            return root / place
    return None


def require_own_grid(root: Path) -> Path:
    """The checkout's own grid. Raises UserError if it has none."""
    grid = find_own_grid(root)
    if grid is None:
        places = " nor ".join(map(str, PLACES))
        raise UserError(f"{root} has neither {places}: write one, or name one for both sides with --grid")
    return grid


def load_cells(grid: Path, only: Sequence[str] = ()) -> dict[str, Cell]:
    """Read and check a grid, which takes seconds.

    Args:
        grid: the file, or the name of a grid that comes with the suite.
        only: KEY=VALUE conditions that a cell has to meet.

    Returns:
        The cells by id.

    Raises:
        UserError: whatever `load_grid` refuses, or conditions that no cell meets.
    """
    # imported here: a process that is handed its cells needs no grid
    from upbench.grid.load import find_grid, load_grid
    from upbench.grid.select import select

    loaded = load_grid(find_grid(str(grid)))
    if only:
        loaded = select(loaded, only)
    return loaded.cells


def read_cells(file: Path) -> dict[str, Cell]:
    """Read a file of cells, by id. Raises UserError for a file that is missing or damaged."""
    try:
        return parse_cells(file.read_bytes())
    except OSError as error:
        raise UserError(f"cells file {file} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"cells file {file} is damaged: {error}") from None


def parse_cells(text: str | bytes) -> dict[str, Cell]:
    """The cells that `dump_cells` wrote, by id. Raises ValueError, KeyError or TypeError for anything else."""
    cells = {}
    for document in json.loads(text):
        cell = Cell.from_json(document)
        cells[cell.id] = cell
    return cells


def dump_cells(cells: Iterable[Cell]) -> str:
    """The text of a file that `read_cells` reads."""
    return json.dumps([cell.to_json() for cell in cells])


def align_cells(base: Mapping[str, Cell], head: Mapping[str, Cell]) -> dict[str, str]:
    """Find the cells that both sides have under different ids, because head has options that base had not yet.

    A cell that leaves a new option at its default is the same cell.

    Returns:
        The id in head by the id in base, for those cells alone.
    """
    ids = {}
    for cell_id, cell in base.items():
        if cell_id in head:
            continue
        completed = _complete_options(cell)
        head_id = completed.id
        # if base has that cell as well, these are two cells
        if head_id in head and head_id not in base:
            ids[cell_id] = head_id
    return ids


def _complete_options(cell: Cell) -> Cell:
    """The cell with every option that its components have now; as it is if they no longer take its own."""
    from upbench.grid.expand import REGISTRIES

    document = cell.to_json()
    try:
        for key in COMPONENTS:
            spec = getattr(cell, key)
            if spec is not None:
                options = REGISTRIES[key].complete(spec.name, spec.options)
                document[key] = {"name": spec.name, **options}
    except UserError:
        return cell
    return Cell.from_json(document)


def main() -> None:
    """Print the cells as JSON; status 1 and one line if the grid is refused."""
    parser = argparse.ArgumentParser(prog="python -m upbench.gate.cells", description=__doc__)
    parser.add_argument(
        "grid",
        type=Path,
        nargs="?",
        help="the grid; default: that of the working directory",
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="only cells with this setting",
    )
    arguments = parser.parse_args()
    try:
        grid = arguments.grid or require_own_grid(Path.cwd())
        cells = load_cells(grid, arguments.only)
    except UserError as error:
        sys.exit(str(error))
    print(dump_cells(cells.values()))


if __name__ == "__main__":
    main()
