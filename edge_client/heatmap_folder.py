"""The folder that heat maps are written to: never over an image, never into the images that are judged."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from edge_client.state import disk_errors
from protos.errors import InvalidInput


class HeatmapFolder:
    """Gives every picture a file of its own, named after the image it was drawn from.

    Args:
        folder: made if it is missing; pictures of an earlier run in it are replaced.
        source: the image or the folder of images that is judged.

    Raises:
        InvalidInput: the folder holds the judged images, lies among them, or cannot be made.
    """

    def __init__(self, folder: Path, source: Path) -> None:
        judged = (source if source.is_dir() else source.parent).resolve()
        if folder.resolve().is_relative_to(judged) if source.is_dir() else folder.resolve() == judged:
            raise InvalidInput(f"heat maps in {folder} would mix with the images that are judged; name another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidInput(f"the folder {folder} cannot be made: {error.strerror}") from error
        self._folder = folder
        self._taken: set[str] = set()

    def save(self, picture: Image.Image, image: Path) -> Path:
        """Writes the picture of an image as PNG and returns its path. Raises `StateError` where there is no room."""
        name, number = f"{image.stem}.png", 1
        while name in self._taken:
            number += 1
            name = f"{image.stem}-{number}.png"
        self._taken.add(name)
        with disk_errors(self._folder):
            picture.save(self._folder / name)
        return self._folder / name
