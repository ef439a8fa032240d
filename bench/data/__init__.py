"""Data sets by name. A new data set is one file in this folder and one line in `DATA`.

A data set is a frozen dataclass of its options with `check(folder)`, which raises UserError if something it needs is
missing, and `load(folder)`, which returns a `Dataset`. `folder` is where the user keeps data sets, or None.

One that takes long to decode also has `sources(folder)`, the files and folders it is made of, and
`load(folder, allocate)` with `allocate(name, shape)` in place of `np.empty`: `bench.data.cache` then decodes it once.
One that is made of image files inherits all of this from `bench.data.files.ImageSet`.

torchvision's readers are what the tests compare with, not what reads: they want the layout that their own download
leaves rather than the distributed one (Pets, Fashion-MNIST, CelebA), unpickle (CIFAR-10), know no augmented list (VOC)
or leave the class map to the caller (COCO), and where something is missing they say "not found or corrupted" at most.
"""

from __future__ import annotations

from bench.registry import Registry

DATA = Registry(
    "data set",
    {
        "earth": "bench.data.earth:Earth",
        "npz": "bench.data.npz:Npz",
        "folder": "bench.data.folder:Folder",
        "voc2012": "bench.data.voc2012:Voc2012",
        "coco": "bench.data.coco:Coco",
        "camvid": "bench.data.camvid:CamVid",
        "oxford_pets": "bench.data.oxford_pets:OxfordPets",
        "dsb2018": "bench.data.dsb2018:Dsb2018",
        "celeba": "bench.data.celeba:CelebA",
        "cifar10": "bench.data.cifar10:Cifar10",
        "fashion_mnist": "bench.data.fashion_mnist:FashionMnist",
    },
)
