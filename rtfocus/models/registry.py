"""Which networks have a name, and where their files are on this machine."""

from __future__ import annotations

import hashlib
import os
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from rtfocus.errors import ModelError, suggest

BUILT_IN = "rtfocus-small"
"""The network that comes with rtfocus and is used where none is asked for."""


@dataclass(frozen=True, slots=True)
class Published:
    """A network that others have published.

    Attributes:
        name: what `--model` and `rtfocus models` call it.
        about: one line.
        url: where the ONNX file is.
        megabytes: its size, about.
        license: of its weights.
        card: its model card but for name, license and source, as TOML.
        sha256: of the file, in hexadecimal; None where it is not known.
        non_commercial: whether its licence forbids commercial use.
    """

    name: str
    about: str
    url: str
    megabytes: int
    license: str
    card: str
    sha256: str | None = None
    non_commercial: bool = False

    @property
    def path(self) -> Path:
        """Where its file lies once it is pulled."""
        return cache_folder() / f"{self.name}.onnx"

    @property
    def pin(self) -> Path:
        """Keeps the digest of the file that was pulled first."""
        return self.path.with_suffix(".sha256")

    def expected(self) -> str | None:
        """The digest that its file must have, in hexadecimal, if any is known."""
        if self.sha256 is not None:
            return self.sha256
        return self.pin.read_text(encoding="ascii").strip() if self.pin.is_file() else None

    def full_card(self) -> str:
        """Its model card, TOML."""
        head = (("name", self.name), ("license", self.license), ("source", self.url))
        return "".join(f'{key} = "{value}"\n' for key, value in head) + self.card.lstrip()


def cache_folder() -> Path:
    """Where pulled networks are kept, such as ~/.cache/rtfocus/models."""
    return user_cache_path("rtfocus") / "models"


@cache
def published() -> dict[str, Published]:
    """Every published network that rtfocus knows, by name."""
    text = Path(__file__).with_name("registry.toml").read_text(encoding="utf-8")
    return {name: Published(name=name, **entry) for name, entry in tomllib.loads(text).items()}


def find_published(name: str) -> Published:
    """The published network of that name.

    Raises:
        ModelError: there is none, or it is the built-in one.
    """
    known = published()
    if name == BUILT_IN:
        raise ModelError(f"{name!r} comes with rtfocus: there is nothing to pull.")
    if name not in known:
        near = suggest(name, [BUILT_IN, *known]) or "."
        raise ModelError(f"there is no network {name!r}{near} `rtfocus models list` shows all.")
    return known[name]


def built_in() -> Path:
    """The file of the network that comes with rtfocus; its card lies beside it."""
    return Path(__file__).with_name(f"{BUILT_IN}.onnx")


def find_network(model: str | None) -> Path:
    """The file that `--model` means: a path, a name, or None for the built-in network.

    Raises:
        ModelError: no network has that name, it is not on this machine, or its file has changed
            since it was pulled.
    """
    if model is None or model == BUILT_IN:
        return built_in()
    if Path(model).suffix or os.sep in model or Path(model).exists():
        return Path(model)
    network = find_published(model)
    if not network.path.is_file():
        raise ModelError(
            f"the network {model!r} is not on this machine. Get it with `rtfocus models pull "
            f"{model}` ({network.megabytes} MB, {network.license})."
        )
    check_digest(network)
    return network.path


def check_digest(network: Published) -> str:
    """The digest of a pulled file.

    Raises:
        ModelError: it is not the one that the file must have.
    """
    digest, expected = digest_of(network.path), network.expected()
    if expected is not None and digest != expected:
        raise ModelError(
            f"{str(network.path)!r} is not the file it should be: its SHA-256 is {digest}, wanted "
            f"is {expected}. Delete it and pull {network.name!r} again."
        )
    return digest


def digest_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
