"""What `rtfocus models list` and `info` say."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from rtfocus.models.registry import BUILT_IN, Published, built_in, find_published, published


def list_networks() -> list[dict[str, Any]]:
    """Name, state, size in MB, licence and a line about every network, JSON-ready."""
    own = {
        "name": BUILT_IN,
        "state": "built in",
        "megabytes": round(built_in().stat().st_size / 1e6, 1),
        "license": _card(built_in())["license"],
        "about": "comes with rtfocus, made for CPUs",
    }
    return [own, *map(_row, published().values())]


def describe_network(name: str) -> dict[str, Any]:
    """Everything known of one network, JSON-ready.

    Raises:
        ModelError: there is no network of that name.
    """
    if name == BUILT_IN:
        return {**list_networks()[0], "file": str(built_in()), **_card(built_in())}
    network = find_published(name)
    return {
        **_row(network),
        "non_commercial": network.non_commercial,
        "file": str(network.path),
        "address": network.url,
        "sha256": network.expected() or "not known; pinned when it is pulled",
        **tomllib.loads(network.full_card()),
    }


def _row(network: Published) -> dict[str, Any]:
    return {
        "name": network.name,
        "state": "here" if network.path.is_file() else "to pull",
        "megabytes": network.megabytes,
        "license": network.license,
        "about": f"{network.about} ({network.license})",
    }


def _card(network: Path) -> dict[str, Any]:
    return tomllib.loads(network.with_suffix(".toml").read_text(encoding="utf-8"))
