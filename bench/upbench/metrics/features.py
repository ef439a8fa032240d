"""Features of images by a network, extracted once for all metrics that compare them."""

from __future__ import annotations

import hashlib
import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from upbench.cache import remember
from upbench.errors import UserError
from upbench.measurement import Better
from upbench.metrics.base import Metric

if TYPE_CHECKING:
    from torch_fidelity import FeatureExtractorBase

BATCH = 64  # images that go through the network at once


@dataclass(frozen=True)
class Extractor:
    """A network whose features compare images.

    Attributes:
        name: the name of the network.
        features: the layer, by name, whose values (N, D) are compared by distances.
        logits: the layer, by name, whose values (N, K) are scores of classes.
        build: a class or a function that makes the network from the names of the layers and the file of its weights.
            The network takes uint8 (N, 3, H, W) and returns a tuple with the values of each layer.
        find_weights: returns the file of the weights. Raises UserError where it is not there.
    """

    name: str
    features: str
    logits: str
    build: Callable[[list[str], Path], FeatureExtractorBase]
    find_weights: Callable[[], Path]

    def metric(self, compute: Callable[..., float], unit: str, better: Better) -> Metric:
        """Make a metric of this network from a function of `upbench.metrics.fidelity`."""
        return Metric(
            compute,
            "samples",
            unit,
            better,
            fixed={"extractor": self},
            check=self.check,
        )

    def check(self) -> None:
        """Raise UserError where the weights are not there."""
        self.find_weights()


def extract(extractor: Extractor, images: NDArray[np.uint8]) -> dict[str, Tensor]:
    """Extract the features of images. They are extracted once in a process, for all metrics of a cell.

    Args:
        extractor: the network.
        images: uint8 (N, H, W, C), with 1 or 3 channels.

    Returns:
        float32 (N, D) and (N, K), by the name of the layer.

    Raises:
        ValueError: for images of another number of channels.
        UserError: where the weights are not there, or are not those of the network.
    """
    return _extract(extractor, hash_weights(extractor), _Images(images))


def extract_and_keep(extractor: Extractor, images: NDArray[np.uint8]) -> dict[str, Tensor]:
    """Extract the features of images which all cells of a grid have in common, and keep them in the cache folder.

    They are kept by what they depend on: the weights, the code, torch, the device and the images.

    Args:
        extractor: the network.
        images: uint8 (N, H, W, C), with 1 or 3 channels.

    Returns:
        What `extract` returns.

    Raises:
        ValueError: as for `extract`.
        UserError: as for `extract`.
    """
    pixels = _Images(images)
    weights = hash_weights(extractor)
    network = _build(extractor, weights)
    digest = hashlib.sha256()
    for fact in (extractor.name, extractor.features, extractor.logits, weights, _describe_arithmetic(), images.shape):
        digest.update(repr(fact).encode())
    for source in _sources(extractor, network):
        digest.update(source)
    digest.update(images.tobytes())

    def make() -> dict[str, NDArray]:
        arrays = {}
        for layer, values in _extract(extractor, weights, pixels).items():
            arrays[layer] = values.cpu().numpy()
        return arrays

    key = digest.hexdigest()[:32]
    kept = remember(f"features-{key}", make)
    features = {}
    for layer, array in kept.items():
        features[layer] = torch.from_numpy(array)
    return features


def hash_weights(extractor: Extractor) -> str:
    """Hash the content of the file of the weights, which is read once in a process unless it is replaced.

    Raises UserError where the file is not there or cannot be read.
    """
    path = extractor.find_weights()
    try:
        status = path.stat()
        state = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return _hash_file(path, state)
    except OSError as error:
        raise UserError(f"the weights of {extractor.name}, {str(path)!r}, cannot be read: {error.strerror}") from None


@lru_cache(maxsize=8)
def _hash_file(path: Path, state: tuple[int, ...]) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _describe_arithmetic() -> tuple[str, ...]:
    """Name what the last bits of features depend on beside code and weights: the libraries and the device."""
    from upbench.metrics.library import torch_fidelity

    versions = torch.__version__, torch_fidelity.__version__
    if torch.cuda.is_available():
        return *versions, "cuda"
    # each number of threads sums in another order
    return *versions, f"{torch.get_num_threads()} threads"


def _sources(extractor: Extractor, network: FeatureExtractorBase) -> list[bytes]:
    """Read the code that extracts: of this module, of what builds the network, and of the classes of its modules.

    The classes of torch are left out, as its version stands for them. The order is that of the content, so that the
    same code at another place is the same.
    """
    files = {__file__, inspect.getfile(extractor.build)}
    for module in network.modules():
        for parent in type(module).__mro__:
            package, _, _ = parent.__module__.partition(".")
            if package not in ("torch", "builtins"):
                files.add(inspect.getfile(parent))
    return sorted(Path(file).read_bytes() for file in files)


# Both extractors of this folder, and the generated and real images of both, find room in these caches.
# The content of the weights is a parameter of the two functions below, so that replaced weights are not taken for
# those that were there before.
@lru_cache(maxsize=2)
def _build(extractor: Extractor, weights: str) -> FeatureExtractorBase:
    network = extractor.build([extractor.features, extractor.logits], extractor.find_weights())
    network.requires_grad_(False)
    network.eval()
    if torch.cuda.is_available():
        network.cuda()
    return network


@lru_cache(maxsize=4)
def _extract(extractor: Extractor, weights: str, images: _Images) -> dict[str, Tensor]:
    from upbench.metrics.library import get_featuresdict_from_dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return get_featuresdict_from_dataset(
            images,
            _build(extractor, weights),
            BATCH,
            cuda=torch.cuda.is_available(),
            save_cpu_ram=True,  # no loader processes, as the images are in memory
            verbose=False,
        )


class _Images(Dataset[Tensor]):
    """Images (N, H, W, C) as torch-fidelity reads them, (3, H, W) each; a single channel is repeated to three.

    Two of them are equal if their pixels are.
    """

    def __init__(self, images: NDArray[np.uint8]) -> None:
        channels = images.shape[-1]
        if channels not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels, got {channels}")
        self.pixels = images
        tensor = torch.from_numpy(np.ascontiguousarray(images))
        tensor = tensor.movedim(-1, 1)
        self.images = tensor.expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[index]

    def __hash__(self) -> int:
        return hash((self.pixels.shape, self.pixels.tobytes()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Images) and np.array_equal(self.pixels, other.pixels)
