"""Which of very many images have a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path


class ImageFiles:
    """``key in files``: whether the key's image file exists.

    Every folder is listed once, which is far quicker than asking for each file.
    """

    def __init__(self, image_path: Callable[[str], Path]) -> None:
        self._image_path = image_path
        self._folders: dict[str, Collection[str]] = {}

    def __contains__(self, key: str) -> bool:
        folder, name = os.path.split(self._image_path(key))
        if folder not in self._folders:
            self._folders[folder] = frozenset(os.listdir(folder)) if os.path.isdir(folder) else frozenset()
        return name in self._folders[folder]
