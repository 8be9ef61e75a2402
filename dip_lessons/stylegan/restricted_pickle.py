"""A pickle read as data: numbers, text, containers, arrays, and modules as the settings and arrays that they hold.

A pickle is a program; Python's reader lets it name any function, call it, and set attributes. Here the program is
read opcode by opcode, by a machine that has no call: a name stands for an entry of ``NAMES``, each of which builds
inert data from inert data, and whatever else is named, or asked for in another way, ends the reading. Time and
memory grow with the file: opcodes are counted, what a tensor spans lies within the bytes that are there, keys are
text (hashing a tuple that holds itself twice, a hundred levels deep, would never end).

**Source:** Python's ``pickletools``, which says what each opcode means; NVlabs/stylegan3 on GitHub, README, for what
a checkpoint is; PyTorch's ``torch/serialization.py``, for its format before 1.6, in which a storage is pickled.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

BYTES, STEPS = 2**31, 10**6  # the largest official checkpoints have 380 MB and about 60,000 opcodes
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # with which torch's older format begins
# What a storage of torch's and a dtype of numpy's is called.
STORAGES = {
    "FloatStorage": "f4", "DoubleStorage": "f8", "HalfStorage": "f2", "LongStorage": "i8", "IntStorage": "i4",
    "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "b1",
}  # fmt: skip
DTYPES = {code: np.dtype(f"<{code}") for code in (*STORAGES.values(), "u2", "u4", "u8")}


class Refused(pickle.UnpicklingError):
    """A pickle asks for what is not read from it; the message says for what."""


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """A module of theirs: the name of its class, and its attributes, ``_parameters``, ``_buffers``, ``_modules`` …"""

    kind: str
    attributes: dict[str, Any]


@dataclass(eq=False, repr=False)
class Numbers:
    """An array, a tensor or a storage: ``values`` lie in the bytes of the file, read-only."""

    values: np.ndarray
    complete: bool = True


@dataclass(frozen=True)
class Name:
    """What a pickle named: the entry of ``NAMES`` that stands for it."""

    text: str
    build: Callable[..., Any]


def expect(condition: object, message: str) -> None:
    if not condition:
        raise Refused(message)


def whole(*values: object) -> bool:
    return all(type(value) is int for value in values)


def module(meta: dict) -> Part:
    expect(type(meta) is dict and type(meta.get("state")) is dict, "a module without a state")
    kind, name = meta.get("type"), meta.get("class_name", 0)
    expect(kind == "class" and type(name) is str, f"a module of type {reprlib.repr(kind)}, not 'class'")
    return Part(name[:80], meta["state"])


def dictionary() -> dict:
    """An OrderedDict or an EasyDict, whose items come afterwards."""
    return {}


def text_set(items: list) -> set:
    plain = type(items) is list and all(type(item) is str for item in items)
    expect(plain, "a set of other things than text")
    return set(items)


def dtype(code: str, *_flags: object) -> np.dtype:
    expect(type(code) is str and code in DTYPES, f"numbers of type {reprlib.repr(code)}")
    return DTYPES[code]


def scalar(kind: np.dtype, data: bytes) -> float | int | bool:
    """A number of numpy's, as Python's own."""
    expect(isinstance(kind, np.dtype) and type(data) is bytes, "a numpy number made of something else")
    expect(len(data) == kind.itemsize, f"a number of {kind.itemsize} bytes in {len(data)}")
    return np.frombuffer(data, kind)[0].item()


def array(data: bytes | bytearray, kind: np.dtype, shape: tuple, order: Literal["C", "F"] = "C") -> Numbers:
    known = isinstance(data, (bytes, bytearray)) and isinstance(kind, np.dtype) and order in ("C", "F")
    expect(known, "an array made of something else")
    fits = type(shape) is tuple and len(shape) <= 8 and whole(*shape) and min(shape, default=0) >= 0
    fits = fits and math.prod(shape) * kind.itemsize == len(data)
    expect(fits, f"an array of shape {reprlib.repr(shape)} in {len(data)} bytes")
    return Numbers(np.ndarray(shape, kind, data, order=order))


def empty_array(kind: Any, *_first: object) -> Numbers:
    """An array of numpy's, whose shape and numbers come afterwards."""
    expect(isinstance(kind, Name) and kind.text == "numpy.ndarray", "an array of an unknown class")
    return Numbers(np.empty(0), complete=False)


def no_call(*_values: object) -> Any:
    raise Refused("a call of what is only a name")


def tensor(numbers: Numbers, offset: int, shape: tuple, strides: tuple, *_rest: object) -> Numbers:
    """A tensor laid over its numbers, and nowhere beyond them."""
    expect(isinstance(numbers, Numbers) and numbers.values.ndim == 1, "a tensor without numbers")
    plain = type(shape) is tuple and type(strides) is tuple and len(shape) == len(strides) <= 8
    expect(plain, "a wrong shape")
    flat = numbers.values
    fits = whole(offset, *shape, *strides) and min(offset, *shape, *strides, 0) >= 0
    if fits and all(shape):
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        fits = last < len(flat) and math.prod(shape) <= len(flat)
    expect(fits, f"a tensor of shape {reprlib.repr(shape)} reaches beyond its {len(flat)} numbers")
    if not all(shape):
        return Numbers(np.empty(shape, flat.dtype))
    steps = [s * flat.itemsize for s in strides]
    return Numbers(np.lib.stride_tricks.as_strided(flat[offset:], shape, steps, writeable=False))


def parameter(data: Numbers, *_rest: object) -> Numbers:
    """A parameter is read as the tensor that it is."""
    expect(isinstance(data, Numbers), "a parameter that is not a tensor")
    return data


NAMES: dict[str, Callable[..., Any]] = {
    "torch_utils.persistence._reconstruct_persistent_obj": module,
    "dnnlib.util.EasyDict": dictionary,
    "collections.OrderedDict": dictionary,
    "builtins.set": text_set,
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch._utils._rebuild_parameter": parameter,
    "numpy.dtype": dtype,
    "numpy.ndarray": no_call,
    **{f"numpy.{core}.multiarray.scalar": scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": empty_array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": array for core in ("core", "_core")},
}


def complete(target: Any, state: Any) -> None:
    """What a pickle sets on something that it made: a dtype's byte order, an array's numbers, and nothing else."""
    if isinstance(target, np.dtype):
        plain = type(state) is tuple and len(state) >= 5 and state[2:5] == (None, None, None)
        expect(plain and state[1] in ("<", "|"), "numbers in another order of bytes, or of several fields")
    else:
        open_ = isinstance(target, Numbers) and not target.complete
        expect(open_, f"attributes set on a {type(target).__name__}")
        expect(type(state) is tuple and len(state) == 5, "an array that is described in another way")
        _, shape, kind, columns_first, data = state
        target.values = array(data, kind, shape, "F" if columns_first else "C").values
        target.complete = True


CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
VALUES = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
)


class Machine:
    """Reads the pickles in ``data`` one after another, with a stack, marks on it, and a memo.

    >>> from dip_lessons.stylegan.restricted_pickle import Machine
    >>> import pickle
    >>> Machine(pickle.dumps({"size": (3, 4.0), "names": ["a"]}, 4)).load()
    {'size': (3, 4.0), 'names': ['a']}
    >>> Machine(pickle.dumps(print, 4)).load()
    Traceback (most recent call last):
        ...
    dip_lessons.stylegan.restricted_pickle.Refused: it asks for builtins.print; ...
    """

    def __init__(self, data: bytes, steps: int = STEPS) -> None:
        self.stream, self.left = io.BytesIO(data), steps
        self.room = 4 * len(
            data
        )  # in bytes: a storage, the tensor and the parameter made of it count one after the other
        self.names: dict[str, Callable[..., Any]] = NAMES | {"torch.storage._load_from_bytes": self.storage}

    def load(self) -> Any:
        """What the next pickle holds. Raises :class:`Refused`, and ValueError for what is not a pickle."""
        stack: list[Any] = []
        marks: list[int] = []
        memo: dict[int, Any] = {}

        def pop(n: int) -> list[Any]:
            there = len(stack) - (marks[-1] if marks else 0)
            expect(there >= n, "more is taken from the stack than lies on it")
            items = stack[len(stack) - n :]
            del stack[len(stack) - n :]
            return items

        def items_for(*kinds: type, single: int = 0) -> tuple[Any, list[Any]]:
            """What lies above the last mark, or the last few items; and the container below, which they go into."""
            expect(single or marks, "items without a mark below them")
            items = pop(single or len(stack) - marks[-1])
            if not single:
                marks.pop()
            target = stack[-1] if stack else None
            expect(not kinds or type(target) in kinds, f"items put into a {type(target).__name__}")
            return target, items

        value: Any
        for opcode, value, _ in pickletools.genops(self.stream):
            self.left -= 1
            expect(self.left >= 0, f"it has more than the {STEPS:,} opcodes that are read")
            name = opcode.name
            if name in CONSTANTS:
                stack.append(CONSTANTS[name]())
            elif name in VALUES:
                expect(type(value) is not int or abs(value) < 2**80, "a number of more than ten bytes")
                stack.append(value)
            elif name == "MARK":
                marks.append(len(stack))
            elif name in ("BINPUT", "LONG_BINPUT", "MEMOIZE"):
                place = len(memo) if name == "MEMOIZE" else value
                expect(stack and place <= STEPS, "what is remembered is not there, or too much")
                memo[place] = stack[-1]
            elif name in ("BINGET", "LONG_BINGET"):
                expect(value in memo, "what is looked up was not remembered")
                stack.append(memo[value])
            elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
                stack.append(tuple(pop(int(name[-1]))))
            elif name == "TUPLE":
                stack.append(tuple(items_for()[1]))
            elif name in ("APPEND", "APPENDS"):
                target, items = items_for(list, single=name == "APPEND")
                target.extend(items)
            elif name in ("SETITEM", "SETITEMS"):
                target, items = items_for(dict, single=2 * (name == "SETITEM"))
                expect(all(type(key) is str for key in items[::2]), "a key that is not text")
                target.update(zip(items[::2], items[1::2], strict=True))
            elif name == "ADDITEMS":
                target, items = items_for(set)
                target.update(text_set(items))
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                words = value.split(" ", 1) if name == "GLOBAL" else pop(2)
                expect(all(type(word) is str for word in words), "a name that is not text")
                stack.append(self.named(".".join(words)))
            elif name in ("REDUCE", "NEWOBJ"):
                function, arguments = pop(2)
                expect(isinstance(function, Name) and type(arguments) is tuple, "a call of what has no name")
                stack.append(self.counted(function.build(*arguments)))
            elif name == "BUILD":
                target, state = pop(2)
                complete(target, state)
                stack.append(self.counted(target))
            elif name in ("PERSID", "BINPERSID"):
                stack.append(self.outside(pop(1)[0] if name == "BINPERSID" else value))
            elif name == "STOP":
                expect(len(stack) == 1 and not marks, "what lies on the stack at its end is not one thing")
                return stack[0]
            else:
                expect(name in ("PROTO", "FRAME"), f"the opcode {name}, which no official checkpoint has")
        raise Refused("it has no end")

    def named(self, name: str) -> Name:
        """What stands for a name that the pickle gives."""
        asked = (
            f"it asks for {name[:80]}; only tensors and plain containers are read from it, and nothing is run"
        )
        expect(name in self.names, asked)
        return Name(name, self.names[name])

    def outside(self, reference: Any) -> Any:
        """What stands for something that is not in the pickle."""
        raise Refused(f"it refers to something outside it, {reprlib.repr(reference)}")

    def storage(self, data: bytes) -> Numbers:
        """The numbers of a tensor; what is read for them counts as read by this machine."""
        expect(type(data) is bytes, "a storage that is not in bytes")
        inner = StorageMachine(data, self.left)
        numbers = inner.numbers(data)
        self.left = inner.left
        return numbers

    def counted(self, made: Any) -> Any:
        """What was made, if all arrays together are no larger than the file accounts for: no two share numbers."""
        if isinstance(made, Numbers):
            self.room -= made.values.nbytes
            expect(self.room >= 0, "its arrays have more numbers than the file")
        return made


class StorageMachine(Machine):
    """Reads a storage in torch's older format: five pickles, of which the fourth says what the numbers are; their
    count; the numbers."""

    def __init__(self, data: bytes, steps: int) -> None:
        super().__init__(data, steps)
        self.names = {f"torch.{name}": no_call for name in STORAGES}

    def outside(self, reference: Any) -> Any:
        known = type(reference) is tuple and 5 <= len(reference) <= 6 and reference[0] == "storage"
        known = known and isinstance(reference[1], Name) and type(reference[2]) is str
        expect(known, "a storage that is described in another way")
        expect(reference[5:] in ((), (None,)), "a storage that is part of another")
        return reference

    def numbers(self, data: bytes) -> Numbers:
        magic, protocol, system, described, keys = (self.load() for _ in range(5))
        little = type(system) is dict and system.get("little_endian") is True
        known = little and magic == MAGIC and protocol == PROTOCOL and type(described) is tuple
        expect(known and keys == [described[2]], "a storage in another format")
        kind = DTYPES[STORAGES[described[1].text.removeprefix("torch.")]]
        count, start = int.from_bytes(self.stream.read(8), "little"), self.stream.tell()
        fits = count == described[4] and start + count * kind.itemsize == len(data)
        expect(fits, f"a storage of {reprlib.repr(described[4])} numbers in {len(data) - start} bytes")
        return Numbers(np.ndarray((count,), kind, data, start))
