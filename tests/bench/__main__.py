"""``make bench``, or ``python -m tests.bench [TABLE …] [--quick] [--cuda]``; see README.md beside this file.

``python -m tests.bench install`` fetches the peers; without them their columns are missing.
"""

from __future__ import annotations

import argparse
import functools
import os
import platform
import subprocess
import sys
import warnings

from dip_lessons.course.commands import FOR_SPEED

TABLES = {
    "steps": "steps",
    "bf16": "steps",
    "maco": "steps",
    "gpu": "steps",
    "channels": "quality",
    "classes": "quality",
    "memory": "memory",
    "leftovers": "memory",
    "imports": "package",
    "pictures": "package",
    "parameterizations": "package",
    "sphere": "package",
    "meshes": "package",
    "player": "package",
    "sliders": "package",
}  # and the module that each is in


def main() -> int:
    """Read the command line, go over into the peers' environment where there is one, print the tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__.split("\n")[0])
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help="of those listed in README.md; all of them"
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds and steps: minutes, and less exact"
    )
    parser.add_argument("--cuda", action="store_true", help="on a GPU; without it, on the CPU")
    arguments = parser.parse_args()
    if not arguments.cuda:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Lucent and the package take a GPU where they see one
    warnings.simplefilter("ignore")  # of the peers, which are of another time

    from . import peers

    if arguments.tables == ["install"]:
        print(f"the peers are in {peers.install().parents[1].name}")
        return 0
    if "DIP_BENCH" not in os.environ:  # once more: with the peers, and with what `dip-lessons lab` sets
        there = peers.python_of(peers.ENVIRONMENT)
        command = [there if there.exists() else sys.executable, "-W", "ignore", "-m", "tests.bench"]
        environment = {**FOR_SPEED, **os.environ, "DIP_BENCH": "1"}
        return subprocess.run([*command, *sys.argv[1:]], env=environment).returncode

    import torch

    from . import memory, package, quality, steps

    rooms = {"steps": steps, "quality": quality, "memory": memory}
    tables = {
        name: functools.partial(getattr(rooms[room], name), arguments.quick)
        if room in rooms
        else getattr(package, name)
        for name, room in TABLES.items()
    }
    if unknown := set(arguments.tables) - set(tables):
        parser.error(f"there is no table {', '.join(unknown)}; there are {', '.join(tables)}")
    found = peers.versions()
    with_peers = ", ".join(f"{name} {version}" for name, version in found.items())
    device = torch.cuda.get_device_name() if arguments.cuda else f"{torch.get_num_threads()} CPU threads"
    print(f"Python {platform.python_version()}, torch {torch.__version__}, {device}")
    print(with_peers or "without peers: `python -m tests.bench install` fetches them")
    for name in arguments.tables or tables:
        tables[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
