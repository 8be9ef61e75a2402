"""Networks stored as OpenVINO IR: the constants of a graph as arrays. Nothing of the graph is run."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

TYPES = {"f32": "<f4", "f16": "<f2", "i64": "<i8", "i32": "<i4"}


class FormatError(ValueError):
    """A file is not what it was expected to be; the message says in what."""


def constants(xml: str | Path) -> dict[str, np.ndarray]:
    """The constants of a network by name, in the order in which the file lists them.

    Args:
        xml: the ``.xml`` file, which gives each constant's name, type, shape, offset and size; the bytes lie in
            the ``.bin`` file beside it.

    Raises FormatError for a file that is no such XML, or whose numbers do not fit each other or the ``.bin``.

    **Source:** OpenVINO documentation, *Operation sets: Constant* (IR version 10).
    """
    xml = Path(xml)
    text, content = xml.read_bytes(), xml.with_suffix(".bin").read_bytes()
    if b"<!" in text.replace(b"<!--", b""):  # entities can grow without bound; IR declares none
        raise FormatError(f"{xml} declares a document type or entities; OpenVINO IR has none")
    try:
        layers = ET.fromstring(text).findall("layers/layer")
    except ET.ParseError as error:
        raise FormatError(f"{xml} is no XML ({error}); expected OpenVINO IR") from error
    found: dict[str, np.ndarray] = {}
    for layer in layers:
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        name = layer.get("name", "")
        try:
            kind = np.dtype(TYPES[data.attrib["element_type"]])
            shape = tuple(int(side) for side in data.attrib["shape"].split(",") if side.strip())
            offset, size = int(data.attrib["offset"]), int(data.attrib["size"])
        except (KeyError, ValueError) as error:
            raise FormatError(
                f"constant {name!r} of {xml} has {dict(data.attrib)}; expected element_type (one of "
                f"{', '.join(TYPES)}), shape, offset and size"
            ) from error
        count = math.prod(shape)
        if name in found or min(shape, default=1) < 0 or size != count * kind.itemsize:
            raise FormatError(f"constant {name!r} of {xml} occurs twice, or its size does not fit its shape")
        if not 0 <= offset <= len(content) - size:
            raise FormatError(
                f"constant {name!r} lies beyond the end of {xml.with_suffix('.bin')}: cut off, or of another network"
            )
        found[name] = np.frombuffer(content, kind, count, offset).reshape(shape)
    return found
