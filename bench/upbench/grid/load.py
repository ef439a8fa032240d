"""A grid's file read, expanded and checked."""

from __future__ import annotations

from pathlib import Path

from upbench.errors import unknown_name_error
from upbench.grid.check import check_cells, check_kept_seeds, check_names, check_reports, check_tune
from upbench.grid.expand import expand
from upbench.grid.spec import ExperimentSpec, GridSpec, Settings, read_spec
from upbench.grid.types import Experiment, Grid

SHIPPED = Path(__file__).parents[1] / "ablations"  # in a checkout a link to the folder at its top


def find_grid(name: str) -> Path:
    """The file of a grid: a path, or the name of a grid that comes with the suite, such as `quick`.

    Raises UserError for a name that is neither.
    """
    path = Path(name)
    # whatever looks like a path is one, so that a misspelt one is refused as a path
    if path.exists() or path.suffix or len(path.parts) > 1:
        return path
    shipped = SHIPPED / f"{name}.toml"
    if not shipped.is_file():
        known = [file.stem for file in SHIPPED.glob("*.toml")]
        raise unknown_name_error(
            "grid", name, known, "the grids that come with upbench; a file is named with its ending, .toml"
        )
    return shipped


def load_grid(path: Path, *, device: str | None = None, data: Path | None = None) -> Grid:
    """Read, check and expand a grid.

    Args:
        path: its file.
        device: replaces that of every cell.
        data: the folder of data sets. Where it is given, each network is held against the true shape of its data.

    Raises UserError for a file that cannot be read, is not TOML, has a key, name, option or value that does not exist,
    or describes a cell that cannot be run.
    """
    spec = read_spec(path)
    overrides = {} if device is None else {"device": device}
    experiments: list[Experiment] = []
    for experiment in spec.experiments:
        experiments += _load_experiment(spec, experiment, overrides, data, path)
    check_names("experiments", [experiment.name for experiment in experiments], path)
    check_names("tables", [table.name for table in spec.tables], path)
    check_names("figures", [figure.name for figure in spec.figures], path)
    grid = Grid(
        title=spec.title,
        timeout=spec.timeout,
        keep_seeds=tuple(spec.keep_seeds),
        experiments=tuple(experiments),
        tables=tuple(spec.tables),
        figures=tuple(spec.figures),
    )
    check_kept_seeds(grid, path)
    check_reports(grid, path)
    return grid


def _load_experiment(
    spec: GridSpec, experiment: ExperimentSpec, overrides: Settings, data: Path | None, path: Path
) -> list[Experiment]:
    """One experiment of the file, after the experiment of its trials if it has any."""
    where = f"{path}: experiment {experiment.name!r}"
    expanded = expand(spec, experiment, overrides, where)
    reported = expanded[-1]
    candidates = [cell for choice in reported.choices for cell in choice.candidates]
    check_cells([*reported.cells, *candidates], data, where)
    if experiment.tune is not None:
        check_tune(experiment.tune, reported, f"{where}: tune")
    return expanded
