"""Compiled classifiers of pixels, without torch. Letters: n windows, c components, s their side, k classes."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from edge_client.compiled.session import CPU, CUDA, Session, available_providers, open_session, present
from protos.errors import BackendMissing, EngineError, InvalidInput

# More windows together do not stay in a CPU's cache; a GPU wants many.
_AT_ONCE = {CPU: 8}
_AT_ONCE_ELSEWHERE = 512

_PROVIDERS = {"onnxruntime": CPU, "onnxruntime-cuda": CUDA}

log = logging.getLogger(__name__)


class CompiledClassifier:
    """A graph of windows on ONNX Runtime, which decides itself how many of them it takes at once.

    Args:
        onnx: bytes of the graph.
        shape: (c, s, s) of the windows.
        classes: k.
        provider: see `open_session`.

    Raises:
        BackendMissing: the provider is not on this machine.
        EngineError: the graph cannot be loaded, or is of other windows or classes.
    """

    def __init__(self, onnx: bytes, shape: tuple[int, int, int], classes: int, provider: str = CPU) -> None:
        self._session: Session = open_session(onnx, provider)
        session = self._session
        self.backend, self.device = session.backend, session.device
        inputs, outputs = session.inference.get_inputs(), session.inference.get_outputs()
        if [tuple(entry.shape[1:]) for entry in (*inputs, *outputs)] != [shape, (classes,)]:
            raise EngineError("the graph is not of the windows and classes that manifest.json names; compile it again")
        self._input = inputs[0].name
        self._at_once = _AT_ONCE.get(session.device, _AT_ONCE_ELSEWHERE)

    def logits(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits (n, k) of windows (n, c, s, s), n at least 1. Raises `EngineError` where the backend failed."""
        try:
            parts = [
                self._session.inference.run(None, {self._input: np.ascontiguousarray(part)})[0]
                for part in (windows[start : start + self._at_once] for start in range(0, len(windows), self._at_once))
            ]
        except Exception as error:  # each is another class of ONNX Runtime's own
            raise self._session.failed(error) from error
        return np.concatenate(parts)


def choose_provider(backend: str, *, allow_fallback: bool = False) -> str:
    """ONNX Runtime's name for the backend that is asked for; "auto" is CUDA where it is, and else the CPU.

    Raises:
        BackendMissing: the backend is not on this machine, or is none that classifiers run on.
        InvalidInput: there is no backend of that name.
    """
    if backend == "auto":
        return CUDA if CUDA in available_providers() else CPU
    if backend in _PROVIDERS:
        return present(_PROVIDERS[backend], available_providers(), allow_fallback=allow_fallback)
    if backend not in ("tensorrt", "tensorrt-rtx"):
        raise InvalidInput(f"there is no backend {backend[:40]!r}; choose one of {', '.join([*_PROVIDERS, 'auto'])}")
    missing = f"classifiers of pixels run on ONNX Runtime and not on {backend} yet"
    if not allow_fallback:
        raise BackendMissing(f"{missing}; ask for onnxruntime or onnxruntime-cuda")
    log.warning("%s; ONNX Runtime on the CPU takes its place", missing)
    return CPU
