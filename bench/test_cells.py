"""What `pytest bench/` runs. A repository with layers of its own has the same two files."""

from upbench.gate.harness import test_exact, test_time

__all__ = ["test_exact", "test_time"]
