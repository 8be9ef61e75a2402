"""What all kinds of views have in common: fields that can be changed, steps of one's own before and after them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from .. import registry

if TYPE_CHECKING:
    from typing_extensions import Self

Transform = Callable[[Tensor, torch.Generator], Tensor]
CPU: dict[str, Any] = {
    "dtype": torch.float32,
    "device": "cpu",
}  # of what is drawn, whatever the host's defaults are


@dataclass(frozen=True)
class RandomViews:
    """``views(pictures, generator) -> (count·B, C, h, w)``; base of :class:`Views` and of those on spheres and meshes.

    A subclass is a frozen dataclass, entered in the registry by ``@registry.enter("views")``, whose fields are what
    a run may change and is stored with; it says in ``see`` what is seen, and in ``problems`` what its fields may be.

    >>> from dataclasses import dataclass
    >>> from dip_lessons.views import RandomViews
    >>> @dataclass(frozen=True)
    ... class Mirrored(RandomViews):
    ...     share: float = 0.5
    ...     def see(self, image, generator):
    ...         return image.flip(3) if torch.rand((), generator=generator) < self.share else image
    ...     def problems(self):
    ...         return {"share must lie in [0, 1]": not 0 <= self.share <= 1}
    >>> Mirrored(share=1.0).checked()(torch.arange(3.0).view(1, 1, 1, 3), torch.Generator())
    tensor([[[[2., 1., 0.]]]])
    """

    before: tuple[Transform, ...] = field(default=(), kw_only=True, repr=False)
    after: tuple[Transform, ...] = field(default=(), kw_only=True, repr=False)
    made_by: ClassVar[str]  # the function of the vocabulary that makes them, for code that is written out

    def __call__(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """Draw ``count`` views of each picture (B, C, H, W), view by view: view i of picture b is i·B + b."""
        for transform in self.before:
            image = transformed(transform, image, generator)
        views = self.see(image, generator)
        for transform in self.after:
            views = transformed(transform, views, generator)
        return views

    def see(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The views themselves, without the steps before and after them."""
        raise NotImplementedError

    def problems(self) -> Mapping[str, bool]:
        """{what a field must be: whether it is not}."""
        return {}

    @classmethod
    def written_out(cls, changed: dict[str, Any]) -> dict[str, Any]:
        """Fields as they are kept, where there is a shorter way to say them (one number for a pair).

        >>> dip.Views.written_out({"scale": 0.5})
        {'scale': (0.5, 1.5)}
        """
        return changed

    def checked(self) -> Self:
        """These views, or a ValueError that says which field makes no sense."""
        for message, wrong in self.problems().items():
            if wrong:
                raise ValueError(f"{message}; got {self}")
        return self

    def change(self, **changed: Any) -> Self:
        """The same views with some fields changed, checked like those that were made.

        >>> views = dip.random_views(jitter=8).change(jitter=16, rotate=5)
        >>> views.jitter, views.rotate
        (16, 5)
        """
        return replace(self, **self.written_out(changed)).checked()

    def then(self, transform: Transform, *, first: bool = False) -> Self:
        """The same views with a step of one's own after them: they keep their fields, and so a player's knobs.

        Args:
            transform: (pictures, generator) -> pictures, (N, C, H, W) both times. It draws from the generator, so that
                one seed gives one run. What takes pictures alone, as torchvision's transforms do, draws from torch's
                own generator, which is seeded from ours meanwhile. ``@registry.enter("transform")`` lets stored runs
                name it.
            first: whether it comes before these views, on the whole picture, instead.

        Raises TypeError for a function of other arguments.

        >>> def brighter(pictures, generator):
        ...     return pictures + 0.2 * torch.rand(len(pictures), 1, 1, 1, generator=generator).to(pictures)
        >>> views = dip.random_views(jitter=4).then(brighter)
        >>> views(torch.zeros(1, 3, 8, 8), torch.Generator().manual_seed(0)).amax() > 0
        tensor(True)
        >>> views.change(jitter=2).after[0] is brighter
        True
        >>> from torchvision.transforms import v2
        >>> dip.random_views(jitter=4).then(v2.ColorJitter(0.4))(torch.ones(1, 3, 8, 8), torch.Generator()).shape
        torch.Size([1, 3, 8, 8])
        """
        _takes_generator(transform)
        steps = {"before": (*self.before, transform)} if first else {"after": (*self.after, transform)}
        return replace(self, **steps)

    def settings(self) -> dict[str, Any]:
        """What a run may change: the fields, without the steps of one's own.

        >>> dip.random_views(jitter=4).settings()["jitter"]
        4
        """
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("before", "after")}


def transformed(transform: Callable, pictures: Tensor, generator: torch.Generator) -> Tensor:
    """What a step of views makes of pictures: see :meth:`RandomViews.then`.

    >>> from dip_lessons.views.base import transformed
    >>> transformed(lambda pictures: 1 - pictures, torch.ones(1, 1, 1, 1), torch.Generator())
    tensor([[[[0.]]]])
    """
    if _takes_generator(transform):
        return transform(pictures, generator)
    seed = torch.randint(2**31, (), generator=generator, device=generator.device, dtype=torch.int64).item()
    with torch.random.fork_rng([pictures.device] if pictures.is_cuda else []):
        torch.manual_seed(seed)
        return transform(pictures)


def _takes_generator(transform: Any) -> bool:
    """Whether it takes (pictures, generator), or pictures alone; TypeError for what takes neither."""
    try:
        inside = transform.forward if isinstance(transform, torch.nn.Module) else transform
        arguments = inspect.signature(inside).parameters.values()
    except (TypeError, ValueError) as error:
        if callable(transform):  # a builtin that does not tell
            return False
        raise TypeError(f"a step of views is a function; got {type(transform).__name__}") from error
    needed = [
        p for p in arguments if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    places = [p for p in needed if p.kind is not p.KEYWORD_ONLY]
    if (
        len(needed) > 2
        or len(places) < len(needed)
        or not (places or any(p.kind is p.VAR_POSITIONAL for p in arguments))
    ):
        raise TypeError(
            "a step of views takes (pictures, generator), or pictures alone, and returns pictures; got one of "
            f"({', '.join(map(str, arguments))}): {getattr(transform, '__name__', type(transform).__name__)}"
        )
    return len(places) == 2 or any(p.name == "generator" and p not in needed for p in arguments)


def knobs() -> set[str]:
    """The fields of all kinds of views that were imported.

    >>> "jitter" in dip.views.knobs()
    True
    """
    kinds = (registry.find("views", name) for name in registry.names("views"))
    return {f.name for kind in kinds for f in fields(kind)} - {"before", "after"}
