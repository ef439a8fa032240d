"""Words about how far long work is: how many of how many, after how long, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console

LINE_EVERY = 15.0  # seconds between two plain lines where there is no terminal

T = TypeVar("T")


def format_duration(seconds: float) -> str:
    """Seconds in words: "48 s" or "2 min 05 s"."""
    minutes, seconds = divmod(round(seconds), 60)
    if minutes:
        return f"{minutes} min {seconds:02d} s"
    return f"{seconds} s"


def count_aloud(items: Iterable[T], total: int, what: str, console: Console) -> Iterator[T]:
    """Pass the items on, and say now and then how many of `total` are done and how long the rest will take.

    Args:
        items: what the caller works through.
        total: how many items there will be.
        what: the noun of the printed line, such as "pairs of processes".
        console: where the line is printed. In a terminal it is one line that is rewritten.
    """
    began = printed = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        last = done == total
        if not (console.is_terminal or now - printed > LINE_EVERY or last):
            continue
        printed = now
        line = f"{done} of {total} {what} after {format_duration(now - began)}"
        if not last:
            seconds_left = (now - began) / done * (total - done)
            line += f", about {format_duration(seconds_left)} left"
        end = "\r" if console.is_terminal and not last else "\n"
        console.print(line, end=end, highlight=False)
