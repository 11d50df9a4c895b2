"""What a site's image folder means: the MVTec layout, folders of products in it, or a flat folder of normal images.

A root, or each product's folder in it, holds `train/good/*` (normal images to learn from), `test/good/*` and
`test/DEFECT/*` (what an evaluation measures on) and `ground_truth/DEFECT/*_mask.png` (where the defect is, optional).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from edge_client.image_files import Found, find_images
from protos.errors import InvalidInput

NORMAL = "good"


@dataclass(frozen=True)
class LabelledImage:
    """One image of a test folder.

    Attributes:
        path: of the image.
        product: the product's folder, "" where the root itself is in MVTec layout.
        defect: the name of the image's folder; `NORMAL` where there is no defect.
        mask: an image that is not black where the defect is, or None where nobody drew one.
    """

    path: Path
    product: str
    defect: str
    mask: Path | None


def training_images(root: Path) -> Found:
    """The normal images of a site: every product's `train/good`, or all images of a flat folder.

    Raises:
        InvalidInput: there is none; the message says what was found instead.
    """
    products = _products(root)
    folders = [product / "train" / NORMAL for product in products]
    parts = [find_images(folder, within=root) for folder in folders if folder.is_dir()]
    if not products:
        # Not deep: a folder with `good` and `bad` beside each other must not be learnt as normal.
        parts = [find_images(root, within=root, deep=False)]
    images = tuple(image for part in parts for image in part.images)
    skipped = sum((Counter(part.skipped) for part in parts), Counter[str]())
    if not images:
        files = f"{skipped.total()} files, none an image" if skipped else "no files"
        raise InvalidInput(
            f"no images in {root}: found {files}; give a folder of normal images (PNG, JPEG, BMP, TIFF, WebP)"
            f" or one with train/{NORMAL} in it"
        )
    return Found(images, skipped)


def labelled_images(root: Path) -> tuple[LabelledImage, ...]:
    """Every image under `test` of every product, with its mask where there is one.

    Raises:
        InvalidInput: there is none.
    """
    listed = []
    for folder in _products(root):
        test = folder / "test"
        product = "" if folder == root else folder.name
        for path in find_images(test, within=root).images if test.is_dir() else ():
            defect = path.relative_to(test).parts[0] if path.parent != test else NORMAL
            mask = folder / "ground_truth" / defect / f"{path.stem}_mask.png"
            listed.append(LabelledImage(path, product, defect, mask if mask.is_file() else None))
    if not listed:
        raise InvalidInput(f"no test images in {root}: it needs test/{NORMAL} and test/DEFECT folders with images")
    return tuple(listed)


def _products(root: Path) -> list[Path]:
    """The folders in MVTec layout: the root itself, or those folders in it that have `train/good` or `test`."""
    if (root / "train").is_dir() or (root / "test").is_dir():
        return [root]
    try:
        inside = sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError as error:
        raise InvalidInput(f"the folder {root} cannot be listed: {error.strerror}") from error
    return [
        path
        for path in inside
        if not path.name.startswith(".") and ((path / "train" / NORMAL).is_dir() or (path / "test").is_dir())
    ]
