"""Makes `pytest bench/` the harness of upbench. A repository with layers of its own has the same two files."""

# not `pytest_plugins`: pytest refuses that where it collects a whole repository and meets this file late
from upbench.gate.plugin import *  # noqa: F403
