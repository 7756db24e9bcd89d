"""Window files: the images and windows that WindowData samples from. Source: src/caffe/layers/window_data_layer.cpp.

    # image_index
    path
    channels
    height
    width
    number of windows
    class overlap x1 y1 x2 y2        (once a window)

The next image follows. Blanks and line ends are alike, as Caffe reads them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_compat.errors import DataError, expected_got

CHANNELS = 3  # images are always read in colour
_HEADER, _WINDOW = 7, 6  # words of each


@dataclass(frozen=True)
class Image:
    """One image of a window file.

    Attributes:
        path: as the file has it.
        size: (channels, height, width), as the file has it.
        num_windows: how many windows follow.
        word: the place of its "#" among the words of the file, which ``WindowFile.place`` turns into a line.
    """

    path: str
    size: tuple[int, int, int]
    num_windows: int
    word: int


@dataclass(frozen=True)
class Windows:
    """Windows of one kind, foreground or background, one a row.

    Attributes:
        images: (N,) int64 numbers of their images.
        labels: (N,) int64 classes, 0 for background.
        boxes: (N, 4) int64 x1, y1, x2, y2; the last column and row belong to the window.
        words: (N,) int64 places of their first words.
    """

    images: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    words: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class WindowFile:
    """A window file's content: images, and windows sorted by how much they overlap an object."""

    path: str
    images: list[Image]
    foreground: Windows
    background: Windows

    def place(self, word: int) -> str:
        """``file:line`` of a word."""
        return _place(self.path, Path(self.path).read_bytes(), word)


def read_window_file(path: str, fg_threshold: float, bg_threshold: float) -> WindowFile:
    """Foreground are the windows with overlap >= fg_threshold, background the others with overlap < bg_threshold.

    Raises: DataError naming file and line where the file breaks off, a word is not the number it should be, images
        are not numbered 0, 1, 2, ..., are not of 3 channels, or a foreground window has a class below 1; OSError.
    """
    content = Path(path).read_bytes()
    try:
        images, numbers, values, words = _parse(content.split())
        overlaps = values[:, 1].astype(np.float32)
        is_foreground = overlaps >= np.float32(fg_threshold)
        is_background = ~is_foreground & (overlaps < np.float32(bg_threshold))
        unlabelled = np.flatnonzero(is_foreground & (values[:, 0] < 1))
        if unlabelled.size:
            first = unlabelled[0]
            got = f"{values[first, 0]:g}"
            raise _WordError(words[first], f"a foreground window's class: {expected_got('> 0', got)}")
    except _WordError as exc:
        raise DataError(exc.problem, path=_place(path, content, exc.word)) from exc
    labels, boxes = values[:, 0].astype(np.int64), values[:, 2:].astype(np.int64)
    return WindowFile(
        path,
        images,
        *(
            Windows(numbers[chosen], labels[chosen] * is_labelled, boxes[chosen], words[chosen])
            for chosen, is_labelled in ((is_foreground, 1), (is_background, 0))
        ),
    )


class _WordError(Exception):
    def __init__(self, word: int, problem: str) -> None:
        super().__init__(problem)
        self.word, self.problem = int(word), problem


def _parse(tokens: list[bytes]) -> tuple[list[Image], np.ndarray, np.ndarray, np.ndarray]:
    """Images; and of every window its image, its six numbers, and the place of its first word."""
    images: list[Image] = []
    values, words = [np.empty((0, _WINDOW))], [np.empty(0, np.int64)]
    word = 0
    if not tokens:
        raise _WordError(0, "Window file is empty")
    while word < len(tokens):
        image = _image(tokens, word, len(images))
        images.append(image)
        first, word = word + _HEADER, word + _HEADER + _WINDOW * image.num_windows
        if word > len(tokens):
            whole = (len(tokens) - first) // _WINDOW
            problem = f"the file ends in the windows of {image.path}: {expected_got(image.num_windows, whole)}"
            raise _WordError(len(tokens) - 1, problem)
        values.append(_numbers(tokens[first:word], first).reshape(-1, _WINDOW))
        words.append(np.arange(first, word, _WINDOW))
    numbers = np.repeat(np.arange(len(images)), [image.num_windows for image in images])
    return images, numbers, np.concatenate(values), np.concatenate(words)


def _image(tokens: list[bytes], word: int, number: int) -> Image:
    if tokens[word] != b"#":
        raise _WordError(
            word, expected_got(f'"# {number}", the beginning of an image', repr(os.fsdecode(tokens[word])))
        )
    if word + _HEADER > len(tokens):
        raise _WordError(len(tokens) - 1, "the file ends in the middle of an image")
    index, path, *sizes = tokens[word + 1 : word + _HEADER]
    found = [_integer(token, word + at) for at, token in ((1, index), *enumerate(sizes, start=3))]
    if found[0] != number:
        raise _WordError(word + 1, f"images are numbered in order: {expected_got(number, found[0])}")
    if found[1] != CHANNELS:
        raise _WordError(word + 3, f"channels: {expected_got(f'{CHANNELS}, for images are read in colour', found[1])}")
    if found[4] < 0:
        raise _WordError(word + 6, f"number of windows: {expected_got('>= 0', found[4])}")
    return Image(os.fsdecode(path), (found[1], found[2], found[3]), found[4], word)


def _integer(token: bytes, word: int) -> int:
    try:
        return int(token)
    except ValueError:
        raise _WordError(word, expected_got("an integer", repr(os.fsdecode(token)))) from None


def _numbers(tokens: list[bytes], first: int) -> np.ndarray:
    """The numbers of whole windows: all integers but the overlaps."""
    try:
        values = np.array(tokens, "S").astype(np.float64) if tokens else np.empty(0)
    except ValueError:
        values = np.full(len(tokens), np.nan)
        for at, token in enumerate(tokens):
            values[at] = _number(token)
    is_overlap = np.arange(len(values)) % _WINDOW == 1
    most = np.where(is_overlap, np.finfo(np.float32).max, np.iinfo(np.int32).max)  # as far as Caffe's types go
    is_wrong = ~(abs(values) <= most) | ~is_overlap & (values != np.trunc(values))
    if is_wrong.any():
        at = int(np.flatnonzero(is_wrong)[0])
        kind = "a number, the overlap" if at % _WINDOW == 1 else "an integer"
        raise _WordError(first + at, expected_got(f"{kind} (class overlap x1 y1 x2 y2)", repr(os.fsdecode(tokens[at]))))
    return values


def _number(token: bytes) -> float:
    try:
        return float(token)
    except ValueError:
        return np.nan


def _place(path: str, content: bytes, word: int) -> str:
    words = 0
    for number, line in enumerate(content.splitlines(), start=1):
        words += len(line.split())
        if words > word:
            return f"{path}:{number}"
    return path
