"""``python -m dip_lessons.stylegan`` fetches the weights ahead of the lessons that need them, for ``make``."""

import sys

from .. import assets


def main() -> int:
    """Fetch what is not there yet; the exit status is 1, and the reason is said, where it cannot be had."""
    try:
        for name in assets.ASSETS:
            if name.startswith("mobilestylegan_ffhq/"):
                assets.path(name)
    except assets.AssetError as error:
        print(f"The StyleGAN of lesson 11 is not there: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
