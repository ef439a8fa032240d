"""The defects that `gate_recordings` puts into a checkout, to see whether the gate finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from upbench.gate.checkout import checked_out

LAYER = "pixel_dcl"  # the layer that has the defect
CLASS = "PixelDCL"
SOURCE = Path("bench", "upbench", "layers", "pixel_dcl.py")
GRID = Path("ablations", "gate.toml")


@dataclass(frozen=True)
class Variant:
    """A checkout with or without a defect.

    Attributes:
        name: what the tables and folders call it.
        file: the file that is changed, in the checkout.
        append: code put behind the file's end.
        remove: text taken out of the file where it stands first.
    """

    name: str
    file: Path
    append: str = ""
    remove: str = ""


def write_slower_layer(factor: float) -> str:
    """Write code after which the layer spins until its forward pass has taken `factor` times its processor time."""
    return f"""
# processor time, as the gate measures it: other processes must not add to the defect
from time import process_time as _now

_upsample = {CLASS}.upsample


def _slower(self, x):
    began = _now()
    y = _upsample(self, x)
    until = began + {factor} * (_now() - began)
    while _now() < until:
        pass
    return y


{CLASS}.upsample = _slower
"""


LARGER_LAYER = f"""
import torch

_upsample = {CLASS}.upsample


def _larger(self, x):
    held = torch.empty(256)  # 1 KiB
    y = _upsample(self, x)
    del held
    return y


{CLASS}.upsample = _larger
"""

# options are read from the constructor's signature and annotations, so the new one has to show the old one's
LAYER_WITH_ONE_MORE_PARAMETER = f"""
import inspect

import torch

_init = {CLASS}.__init__


def _one_more(self, in_channels, out_channels, **options):
    _init(self, in_channels, out_channels, **options)
    self.superfluous = torch.nn.Parameter(torch.zeros(1))


_one_more.__signature__ = inspect.signature(_init)
_one_more.__annotations__ = _init.__annotations__
{CLASS}.__init__ = _one_more
"""

SAME = Variant("same", SOURCE)
# while it spins, caches and vector units cool, and the pass itself takes longer: less is put in than is found, so that
# what is found is what the name says; the table gives it as measured
SLOWER = (
    Variant("slower 1.15", SOURCE, write_slower_layer(1.12)),
    Variant("slower 1.5", SOURCE, write_slower_layer(1.36)),
)
EXACT = (
    Variant("1 KiB more memory", SOURCE, LARGER_LAYER),
    Variant("one parameter more", SOURCE, LAYER_WITH_ONE_MORE_PARAMETER),
    Variant("a vanished cell", GRID, remove=f'"{LAYER}",'),
)


@contextmanager
def injected(root: Path, variant: Variant) -> Iterator[Path]:
    """Check out HEAD of the repository `root` with the variant's defect in it; the checkout is gone afterwards.

    Raises RuntimeError where the text to take out is not there.
    """
    with checked_out(root, "HEAD") as tree:
        file = tree / variant.file
        text = file.read_text(encoding="utf-8")
        if variant.remove not in text:
            raise RuntimeError(f"{variant.file} has no {variant.remove!r} to take out")
        changed = text.replace(variant.remove, "", 1) + variant.append
        file.write_text(changed, encoding="utf-8")
        yield tree
