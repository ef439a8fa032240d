"""Data sets by name. A new data set is one file in this folder and one line in `DATA`.

A data set is a frozen dataclass of its options with three methods. `folder` is where the user keeps data sets, or None.

- `check(folder)` raises UserError if something that the data set needs is missing.
- `shape(folder)` returns a `DataShape` before anything is decoded, or None where that needs a folder and has none.
- `load(folder)` returns a `Dataset`.

One that takes long to decode also has `sources(folder)`, the files and folders it is made of, and
`load(folder, allocate)` with `allocate(name, shape)` in place of `np.empty`: `upbench.data.decoded` then decodes it
once. One that is made of image files inherits all of this from `upbench.data.image_set.ImageSet`.

torchvision's readers are what the tests compare with, not what reads: they want the layout that their own download
leaves rather than the distributed one (Pets, Fashion-MNIST, CelebA), unpickle (CIFAR-10), know no augmented list (VOC)
or leave the class map to the caller (COCO), and where something is missing they say "not found or corrupted" at most.
"""

from __future__ import annotations

from upbench.registry import Registry

DATA = Registry(
    "data set",
    {
        "earth": "upbench.data.earth:Earth",
        "npz": "upbench.data.npz:Npz",
        "folder": "upbench.data.folder:Folder",
        "voc2012": "upbench.data.voc2012:Voc2012",
        "coco": "upbench.data.coco:Coco",
        "camvid": "upbench.data.camvid:CamVid",
        "oxford_pets": "upbench.data.oxford_pets:OxfordPets",
        "dsb2018": "upbench.data.dsb2018:Dsb2018",
        "celeba": "upbench.data.celeba:CelebA",
        "cifar10": "upbench.data.cifar10:Cifar10",
        "fashion_mnist": "upbench.data.fashion_mnist:FashionMnist",
    },
    needs=("check", "shape", "load"),
)
