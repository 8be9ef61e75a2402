"""A button with which learners hand in a picture of their own."""

from __future__ import annotations

import html
import io
from collections.abc import Mapping
from pathlib import Path

import ipywidgets as widgets
import torch
from torch import Tensor

from ...assets import AssetError
from ...assets import picture as load
from ..display import present
from ..sheets import sheet
from .panel import Picture, bundle


class PictureChooser:
    """A file button and the picture that was chosen; made by :func:`choose_picture`.

    >>> chooser = dip.choose_picture("chelsea")
    >>> chooser.name
    'chelsea'
    """

    def __init__(self, default: str | Path) -> None:
        self.default = default
        self._button = widgets.FileUpload(accept="image/*", multiple=False, description="your own picture")
        self._button.layout.width = "auto"
        self._note, self._image = widgets.HTML(), Picture(format="jpeg")
        self._box = widgets.VBox([self._button, self._note, self._image])
        load(default, 1)  # or say here that it is no picture
        self._draw()
        self._button.observe(lambda _: self._draw(), "value")

    @property
    def name(self) -> str:
        """Of the file that was chosen, or the default's."""
        return self._chosen()[0]

    def picture(self, size: int | tuple[int, int] = 512, device: torch.device | str | None = None) -> Tensor:
        """The picture that was chosen, upright, (1, 3, H, W) in [0, 1]; the default while none was.

        Args:
            size: the longest side in pixels, or (H, W); see :func:`dip_lessons.assets.picture`.
            device: where the tensor goes; None is the CPU.

        Raises AssetError for a file that cannot be read as a picture.

        >>> dip.choose_picture("chelsea").picture((64, 64)).shape
        torch.Size([1, 3, 64, 64])
        """
        name, file = self._chosen()
        try:
            return load(file, size, device)
        except Exception as error:  # readers of pictures know many classes
            told = (
                error if isinstance(error, AssetError) else f"cannot be read, {type(error).__name__}: {error}"
            )
            raise AssetError(f"{name}: {told}. Choose another file") from error

    def _chosen(self) -> tuple[str, bytes | str | Path]:
        """The name and the content of the last file that was chosen; the default's name and path until then."""
        files = self._button.value
        if not files:
            return str(self.default), self.default
        if isinstance(files, Mapping):  # ipywidgets 7: {name: {"content": bytes}}
            name, file = list(files.items())[-1]
        else:  # 8: ({"name": …, "content": memoryview}, …)
            file = files[-1]
            name = file["name"]
        return name, bytes(file["content"])

    def _draw(self) -> None:
        buffer = io.BytesIO()
        try:
            sheet(self.picture(192), side=192).save(buffer, "JPEG", quality=85)
        except Exception as error:  # nothing may leave a handler: it would be shown nowhere
            self._note.value = f"<b>{html.escape(str(error))}</b>"
            return
        self._image.value, self._note.value = buffer.getvalue(), html.escape(self.name)
        self._image.call(f"The picture that was chosen: {self.name}")

    def __repr__(self) -> str:
        return f"<picture chooser: {self.name}>"

    def _ipython_display_(self) -> None:
        """The button, and the picture for pages without a kernel."""
        present(bundle(self._box, self._image.value, repr(self)), repr(self), raw=True)


def choose_picture(default: str | Path = "astronaut") -> PictureChooser:
    """Make a button that takes a picture from the learner's own disk; make it a cell's last line to show it.

    ``chooser.picture(size)`` in a later cell is the picture: the default until a file is chosen. Photographs are
    turned upright and made small, transparent parts become white.

    Args:
        default: the picture meanwhile: one of the course's, or a path.

    Raises AssetError for a default that is no picture.

    >>> chooser = dip.choose_picture("chelsea")  # in a notebook: a button for a file of your own
    >>> chooser, chooser.picture(64).shape
    (<picture chooser: chelsea>, torch.Size([1, 3, 43, 64]))
    """
    return PictureChooser(default)
