"""The card that says how a depth network wants its pictures and what its answers mean."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, cast

from rtfocus.depth.kinds import KINDS, Kind
from rtfocus.errors import ModelError, suggest

Triple = tuple[float, float, float]

EXAMPLE = """\
name = "my-network"
kind = "inverse_depth"        # or depth, metric_depth
input = "image"               # name of the network's input
output = "depth"              # name of the network's output
input_range = [0.0, 1.0]      # what pixel values 0 and 255 become
mean = [0.485, 0.456, 0.406]  # optional, subtracted after that
std = [0.229, 0.224, 0.225]   # optional, divided by after that
size = [384, 384]             # height, width
fine_size = [512, 512]        # optional, that of --quality high
multiple = 32                 # sides must be multiples of this
license = "MIT"               # optional
source = "where it is from"   # optional"""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What has to be known about a network to use it.

    It is written as TOML in FILE.toml beside FILE.onnx, or under the same keys in the ONNX file's
    metadata (`metadata_props`, each value in TOML notation, strings with or without quotes). The
    file beside the network wins: where it exists the metadata is not looked at.

    The network's input is float32 or float16 (1, 3, h, w), RGB. A pixel value 0..255 is mapped
    linearly to `input_range`, then `(x - mean) / std` is taken per channel.

    Attributes:
        name: what the network is called in messages.
        kind: what it answers: `inverse_depth` (larger = nearer, up to scale and shift), `depth`
            (larger = farther, up to scale) or `metric_depth` (metres).
        input: name of its input.
        output: name of the output that holds the depth, (1, 1, h, w), (1, h, w) or (h, w).
        input_range: what the pixel values 0 and 255 become.
        size: height and width it works best at. Where its input has free sides this sets the number
            of pixels, and the sides follow the picture's aspect.
        multiple: the sides must be multiples of this.
        fine_size: what `size` is where quality comes before speed; optional, else it is `size`.
        mean: per channel, in units of `input_range`; optional.
        std: per channel, in units of `input_range`; optional.
        license: of the weights; optional.
        source: where the weights come from; optional.
    """

    name: str
    kind: Kind
    input: str
    output: str
    input_range: tuple[float, float]
    size: tuple[int, int]
    multiple: int
    fine_size: tuple[int, int] | None = None
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    license: str = ""
    source: str = ""


def read_card(network: Path, metadata: Mapping[str, str]) -> ModelCard:
    """Read the card of a network.

    Args:
        network: the .onnx file; its card lies beside it with the suffix .toml.
        metadata: the network's own `metadata_props`, used where there is no such file.

    Raises:
        ModelError: no card, not TOML, keys missing or unknown, or a value that makes no sense.
    """
    beside = network.with_suffix(".toml")
    if beside.is_file():
        return _build(_parse_file(beside), str(beside), beside)
    entries = {key: _parse_value(metadata[key]) for key in _PARSERS if key in metadata}
    if not entries:
        raise ModelError(
            f"{str(network)!r} has no model card. Write {str(beside)!r} beside it, for "
            f"example:\n{EXAMPLE}"
        )
    return _build(entries, f"the metadata of {network}", beside)


def _parse_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ModelError(f"the model card {str(path)!r} is not TOML: {error}.") from error
    except OSError as error:
        raise ModelError(
            f"the model card {str(path)!r} cannot be read: {error.strerror}."
        ) from error


def _parse_value(text: str) -> Any:
    """The TOML value that a metadata string holds; the string itself where it is none."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _build(entries: Mapping[str, Any], where: str, remedy: Path) -> ModelCard:
    for key in entries:
        if key not in _PARSERS:
            hint = suggest(key, _PARSERS) or f". Known keys: {', '.join(_PARSERS)}."
            raise ModelError(f"{where}: unknown key {key!r}{hint}")
    missing = [name for name in _REQUIRED if name not in entries]
    if missing:
        raise ModelError(
            f"{where} lacks {', '.join(missing)}. A whole card in {str(remedy)!r} looks like "
            "this:\n"
            f"{EXAMPLE}"
        )
    values: dict[str, Any] = {}
    for key, given in entries.items():
        parser, allowed = _PARSERS[key]
        value = parser(given)
        if value is None:
            raise ModelError(f"{where}: {key} = {given!r} makes no sense; it must be {allowed}.")
        values[key] = value
    card = ModelCard(**values)
    for key, size in (("size", card.size), ("fine_size", card.fine_size or card.size)):
        if any(side % card.multiple for side in size):
            raise ModelError(
                f"{where}: {key} = {list(size)} contradicts multiple = {card.multiple}: "
                "both sides must be multiples of it. Change one of them."
            )
    return card


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _any_text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _kind(value: Any) -> Kind | None:
    return cast(Kind, value) if value in KINDS else None


def _numbers(value: Any, count: int) -> tuple[float, ...] | None:
    if not isinstance(value, list) or len(value) != count:
        return None
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in value):
        return None
    return tuple(float(x) for x in value) if all(map(math.isfinite, value)) else None


def _range(value: Any) -> tuple[float, ...] | None:
    ends = _numbers(value, 2)
    return ends if ends and ends[0] != ends[1] else None


def _mean(value: Any) -> tuple[float, ...] | None:
    return _numbers(value, 3)


def _std(value: Any) -> tuple[float, ...] | None:
    std = _numbers(value, 3)
    return std if std and min(std) > 0 else None


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _size(value: Any) -> tuple[int, int] | None:
    if not isinstance(value, list) or len(value) != 2 or not all(map(_positive, value)):
        return None
    return value[0], value[1]


_PARSERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "name": (_text, "a text"),
    "kind": (_kind, f"one of {', '.join(KINDS)}"),
    "input": (_text, "the name of the network's input"),
    "output": (_text, "the name of one of the network's outputs"),
    "input_range": (_range, "two different numbers, such as [0.0, 1.0]"),
    "mean": (_mean, "three numbers"),
    "std": (_std, "three numbers above 0"),
    "size": (_size, "[height, width], both whole and above 0"),
    "fine_size": (_size, "[height, width], both whole and above 0"),
    "multiple": (_positive, "a whole number above 0"),
    "license": (_any_text, "a text"),
    "source": (_any_text, "a text"),
}
_REQUIRED = [field.name for field in fields(ModelCard) if field.default is MISSING]
