"""upbench: latency, memory and trained quality of learned up-sampling layers, in one table."""

__version__ = "0.1.0"
