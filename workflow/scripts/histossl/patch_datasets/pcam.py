"""PatchCamelyon as it is downloaded: three splits of patches of 96 px in HDF5 (Veeling et al. 2018, arXiv 1806.03962).

    SOURCE/
        camelyonpatch_level_2_split_train_x.h5      x: (262144, 96, 96, 3) uint8 RGB
        camelyonpatch_level_2_split_train_y.h5      y: (262144, 1, 1, 1) uint8, 1 where the central 32 px hold tumour
        camelyonpatch_level_2_split_train_meta.csv  columns coord_y, coord_x, tumor_patch, center_tumor_patch, wsi
        ..._valid_..., ..._test_...                 the same with 32768 patches each

Layout and labels: github.com/basveeling/pcam and torchvision's datasets/pcam.py. Files are published as .h5.gz, which
are to be unpacked: a packed array can't be read patch by patch. `wsi` is the slide of Camelyon16 that a patch is cut
from, such as camelyon16_train_tumor_011, in the order of the arrays.
"""

from pathlib import Path

from histossl.errors import UserError
from histossl.patch_datasets.download import find_parts
from histossl.patch_datasets.patch import LabelledPatch
from histossl.patch_datasets.sheet import read_rows

SPLITS = ("train", "valid", "test")
STEM = "camelyonpatch_level_2_split_"
CLASSES = ("normal", "tumour")


def find_files(source: Path) -> list[Path]:
    """The files of the splits that are there: a split may be left out whole, and its CSV too.

    Raises:
        UserError: there is none, one is still packed, or a split has pictures without labels.
    """
    there = [split for split in SPLITS if source.is_dir() and any(source.glob(f"{STEM}{split}_[xy].h5*"))]
    files: list[Path] = []
    for split in there or SPLITS:
        files += find_parts(source, [f"{STEM}{split}_x.h5", f"{STEM}{split}_y.h5"], "PCam")
        meta = source / f"{STEM}{split}_meta.csv"
        files += [meta] if meta.is_file() else []
    return files


def read(source: Path) -> list[LabelledPatch]:
    """All patches, in the order of the arrays. The group is the slide; blank where the split's CSV is not there.

    Raises:
        UserError: see `find_files`; or a file is damaged, or the files of a split do not belong together.
    """
    files = {path.name: path for path in find_files(source)}
    patches: list[LabelledPatch] = []
    for split in SPLITS:
        if f"{STEM}{split}_x.h5" not in files:
            continue
        pictures = files[f"{STEM}{split}_x.h5"]
        labels = _read_labels(pictures, files[f"{STEM}{split}_y.h5"])
        meta = files.get(f"{STEM}{split}_meta.csv")
        slides = [row["wsi"] for _, row in read_rows(meta, {"wsi"})] if meta else [""] * len(labels)
        if len(slides) != len(labels):
            raise UserError(f"{meta}: has {len(slides)} lines for {len(labels)} patches; download it again")
        patches += [
            LabelledPatch(pictures, f"{split}/{row}", CLASSES[label], split, slide, row=row)
            for row, (label, slide) in enumerate(zip(labels, slides, strict=True))
        ]
    return patches


def _read_labels(pictures: Path, labels: Path) -> list[int]:
    import h5py  # not above: Snakemake imports this module for each of its jobs

    path = labels
    try:
        with h5py.File(labels, "r") as file:
            values = file["y"][:].reshape(-1).tolist()
        path = pictures
        with h5py.File(pictures, "r") as file:
            count = len(file["x"])
    except (OSError, KeyError) as error:
        raise UserError(f"{path}: damaged or not PCam's ({error}); download it again") from error
    if count != len(values) or not set(values) <= {0, 1}:
        raise UserError(f"{labels}: its {len(values)} labels are not those of {count} pictures; download it again")
    return values
