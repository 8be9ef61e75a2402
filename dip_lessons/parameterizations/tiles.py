"""Pictures cut into tiles: what covers few pixels is computed for few pixels."""

from __future__ import annotations

import torch
from torch import Tensor

TILE = 8  # pixels along a side


def grid(size: tuple[int, int]) -> tuple[int, int]:
    """How many rows and columns of tiles cover a picture (H, W)."""
    return -(-size[0] // TILE), -(-size[1] // TILE)


def overlaps(low: Tensor, high: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Which boxes touch which tiles: K pairs as two tensors (K,) of indices, of the box and of the tile.

    Args:
        low, high: corners of the boxes, (B, N, 2), as x and y in pixels; box n of picture b has the index b·N + n.
        size: (H, W) of each picture; its tiles are numbered row by row, those of the next picture after them.

    >>> from dip_lessons.parameterizations.tiles import overlaps
    >>> low, high = torch.tensor([[[2.0, 1.0], [7.0, 9.0]]]), torch.tensor([[[5.0, 6.0], [12.0, 11.0]]])
    >>> overlaps(low, high, (16, 16))  # the first box lies in the first tile, the second one in those below
    (tensor([0, 1, 1]), tensor([0, 2, 3]))
    """
    rows, columns = grid(size)
    last = low.new_tensor([columns - 1.0, rows - 1.0])
    first = (low / TILE).floor().clamp(min=0)
    across, down = (
        ((high / TILE).floor().minimum(last) - first + 1).clamp(min=0).long().flatten(0, 1).unbind(1)
    )
    box = torch.repeat_interleave(across * down)
    k = torch.arange(len(box), device=low.device, dtype=torch.int64)
    k = k - (across * down).cumsum(0).sub(across * down)[box]  # 0, 1, … of each box
    column, row = first.minimum(last).long().flatten(0, 1)[box].unbind(1)
    wide, picture = across[box], box // low.shape[1]
    return box, (picture * rows + row + k // wide) * columns + column + k % wide


def offsets(like: Tensor) -> Tensor:
    """The positions of a tile's pixels from its centre, (2, P), rows x and y in pixels."""
    along = torch.arange(TILE, device=like.device, dtype=like.dtype) - (TILE - 1) / 2
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y]).flatten(1)


def centres(tile: Tensor, size: tuple[int, int], like: Tensor) -> Tensor:
    """The centres of tiles (K,) in their picture, (K, 2), as x and y in pixels."""
    rows, columns = grid(size)
    at = torch.stack([tile % columns, tile // columns % rows], dim=1)
    return at.to(like.dtype) * TILE + TILE / 2


def assembled(tiles: Tensor, batch: int, size: tuple[int, int]) -> Tensor:
    """Pictures (B, C, H, W) of the pixels of all tiles, (B · rows · columns, C, P)."""
    rows, columns = grid(size)
    z = tiles.view(batch, rows, columns, -1, TILE, TILE).permute(0, 3, 1, 4, 2, 5)
    return z.reshape(batch, -1, rows * TILE, columns * TILE)[..., : size[0], : size[1]]


def stacks(tile: Tensor, tiles: int) -> Tensor:
    """Of each tile the pairs that touch it, the last one first, as indices (tiles, M); K where there is none.

    Args:
        tile: of each pair, (K,), in rising order.
        tiles: how many there are.

    >>> from dip_lessons.parameterizations.tiles import stacks
    >>> stacks(torch.tensor([0, 0, 2]), 3)
    tensor([[1, 0],
            [3, 3],
            [2, 3]])
    """
    pair = torch.arange(len(tile), device=tile.device, dtype=torch.int64)
    count = torch.bincount(tile, minlength=tiles)
    table = torch.full((tiles, max(1, int(count.max()))), len(tile), device=tile.device, dtype=torch.int64)
    table[tile, count.cumsum(0)[tile] - 1 - pair] = pair
    return table
