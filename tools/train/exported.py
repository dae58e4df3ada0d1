"""The weights of an exported network, to train on from where no checkpoint is left."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from network import SmallDPT

_ANY_SIZE = (64, 64)


def read_exported(path: Path) -> SmallDPT:
    """The network of an ONNX file of `export.py`, without batch normalisation.

    Exporting folds that into the convolutions, which lose their names. Both graphs hold the same
    layers in the same order.

    Raises:
        ValueError: the file holds another network.
    """
    network = SmallDPT().eval()
    network.fold()
    graph = onnx.load(path).graph
    weights = {w.name.removesuffix(".half"): numpy_helper.to_array(w) for w in graph.initializer}
    for node in graph.node:  # what is the same twice is kept once
        if node.op_type == "Identity" and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    state = network.state_dict()
    for kind, named in _in_order(network).items():
        operator = "Conv" if kind is nn.Conv2d else "MatMul"
        nodes = [n for n in graph.node if n.op_type == operator and n.input[1] in weights]
        if len(named) != len(nodes):
            raise ValueError(f"{path} holds another network")
        for name, node in zip(named, nodes, strict=True):
            weight = weights[node.input[1]]
            _set(state, f"{name}.weight", weight.T if kind is nn.Linear else weight)
            if len(node.input) > 2:
                _set(state, f"{name}.bias", weights[node.input[2]])
    for name in state.keys() & weights.keys():
        _set(state, name, weights[name])
    network.load_state_dict(state)
    return network


def _in_order(network: SmallDPT) -> dict[type[nn.Module], list[str]]:
    """Names of layers by type, in the order in which they run."""
    names: dict[type[nn.Module], list[str]] = {nn.Conv2d: [], nn.Linear: []}
    known = {layer: name for name, layer in network.named_modules() if type(layer) in names}

    def note(layer: nn.Module, *_: object) -> None:
        names[type(layer)].append(known[layer])

    hooks = [layer.register_forward_hook(note) for layer in known]
    with torch.no_grad():
        network(torch.zeros(1, 3, *_ANY_SIZE))
    for hook in hooks:
        hook.remove()
    return names


def _set(state: dict[str, Tensor], name: str, weight: object) -> None:
    state[name] = torch.tensor(weight).float().reshape(state[name].shape)
