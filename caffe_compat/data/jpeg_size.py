"""How large a JPEG says it is, before it is decoded."""

from __future__ import annotations

_START = b"\xff\xd8"
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of a frame's header
_SCAN = 0xDA
_ALONE = {0x00, 0x01, *range(0xD0, 0xDA)}  # markers without a length
_FILL = 0xFF
_MOST_PIXELS_PER_BYTE = 512  # 64 in a block, which takes a bit at least


def declared_size(content: memoryview) -> tuple[int, int] | None:
    """Height and width in the header of a JPEG; None for other content, and where there is no such header."""
    if content[:2] != _START:
        return None
    position, end = 2, len(content) - 8
    while position < end:
        marker = content[position + 1]
        if content[position] != _FILL or marker == _FILL:
            position += 1  # libjpeg passes over what is no marker
        elif marker in _FRAMES:
            height, width = (int.from_bytes(content[position + at : position + at + 2], "big") for at in (5, 7))
            return height, width
        elif marker == _SCAN:
            return None
        elif marker in _ALONE:
            position += 2
        else:
            position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


def is_cut_short(content: memoryview) -> bool:
    """Whether a JPEG declares more pixels than its bytes can hold.

    libjpeg makes up what is missing, and takes the time and the memory for all that the header says.
    """
    size = declared_size(content)
    return size is not None and size[0] * size[1] > len(content) * _MOST_PIXELS_PER_BYTE
