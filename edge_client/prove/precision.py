"""The precision that a compiled model runs with: the one that was asked for if it passes its gates, else float32."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

import onnx

from edge_client.compiled.onnxruntime import OnnxRuntimeRunner
from edge_client.compiled.runner import Bank, Runner
from edge_client.prove.certificate import Certificate, Parity, Precision
from edge_client.prove.exhibit import Answers, Exhibit, ask
from edge_client.prove.fp16 import to_fp16
from edge_client.prove.gates import refusal
from edge_client.prove.int8 import Quantiser, Scheme
from edge_client.prove.layers import layers
from edge_client.prove.parity import certify
from edge_client.prove.sensitivity import block_errors, blocks, to_keep
from models.method import Report
from protos.errors import EdgeFedError

Load = Callable[[bytes, Precision], Runner]
"""From a graph and its precision to a runner of the backend that was asked for, holding the site's bank."""

# How far the raw map of int8 may be from that of float32, relative to how much maps vary. Where the accuracy gate is
# missed, more layers are kept in float; a graph that misses it three times is not one for int8.
_BUDGETS = (0.25, 0.12, 0.06)
_FIRST = 2  # layers that float16 may keep in float
_RANGE_IMAGES, _ERROR_IMAGES = 16, 8


@dataclass(frozen=True)
class Subject:
    """What is compiled and proven.

    Attributes:
        graph: in float32.
        bank: of the site.
        exhibit: images to prove it on, at least one of them a "training normal".
        trained: what the trained model says of them.
        trained_name: of what gave those, for the reader.
        rate: the false-reject rate of the threshold.
    """

    graph: bytes
    bank: Bank
    exhibit: Exhibit
    trained: Answers
    trained_name: str
    rate: float


@dataclass(frozen=True)
class Choice:
    """What came of it.

    Attributes:
        graph: of the chosen precision.
        runner: that has it loaded.
        answers: of that runner to the exhibit.
        parity: all certificates and the chosen precision.
        refused: why the precision that was asked for is not the chosen one; None where it is.
    """

    graph: bytes
    runner: Runner
    answers: Answers
    parity: Parity
    refused: EdgeFedError | None


@dataclass(frozen=True)
class _Tried:
    graph: bytes
    runner: Runner
    answers: Answers
    certificate: Certificate
    kept: Mapping[str, str]


def choose(subject: Subject, wanted: Precision, load: Load, report: Report) -> Choice:
    """Proves float32, then the precision that was asked for.

    Raises:
        ParityError: not even float32 decides as the trained model; there is nothing to run.
        BackendMissing, EngineError: of `load`.
    """
    best = _prove(subject, subject.graph, "fp32", load, {})
    if error := refusal(best.certificate):
        best.runner.close()
        raise error
    certificates, refused = [best.certificate], None
    with closing(_candidates(subject, wanted, best.runner.backend, report)) as candidates:
        for graph, kept in candidates:
            tried = _prove(subject, graph, wanted, load, kept)
            certificates = [certificates[0], tried.certificate]
            refused = refusal(tried.certificate)
            if refused is None:
                best.runner.close()
                best = tried
                break
            tried.runner.close()
    parity = Parity(
        precision=best.certificate.precision, certificates=tuple(certificates), kept_in_float=dict(best.kept)
    )
    return Choice(best.graph, best.runner, best.answers, parity, refused)


def _prove(subject: Subject, graph: bytes, precision: Precision, load: Load, kept: Mapping[str, str]) -> _Tried:
    runner = load(graph, precision)
    answers = ask(runner.run, subject.exhibit)
    roles, against = subject.exhibit.roles, subject.trained_name
    certificate = certify(subject.trained, answers, roles, subject.rate, against=against, runner=runner)
    return _Tried(graph, runner, answers, certificate, kept)


def _candidates(
    subject: Subject, wanted: Precision, backend: str, report: Report
) -> Generator[tuple[bytes, Mapping[str, str]], None, None]:
    """Graphs of a precision, the fastest first, each with the layers that it keeps in float and why."""
    if wanted == "fp16":
        yield to_fp16(subject.graph), {}
        # The first layers see the pixels' full range, and whatever they round away is amplified by all later ones.
        first = layers(onnx.load_model_from_string(subject.graph))[:_FIRST]
        named = {layer[0]: "with it in float16 the gates are missed" for layer in first}
        yield to_fp16(subject.graph, in_float=range(_FIRST)), named
    if wanted != "int8":
        return
    scheme = Scheme(symmetric=backend != "onnxruntime")
    pixels = subject.exhibit.pixels("training normal", _RANGE_IMAGES + _ERROR_IMAGES)
    with closing(Quantiser(subject.graph, subject.bank, pixels[:_RANGE_IMAGES], scheme)) as quantiser:
        others = pixels[-_ERROR_IMAGES:]
        with closing(OnnxRuntimeRunner(subject.graph, subject.bank)) as runner:
            reference = runner.run(others).map
        errors = block_errors(quantiser, subject.bank, others, reference, report)
        parts = blocks(len(quantiser.layers))
        for budget in _BUDGETS:
            kept = {layer: errors[block] for block in to_keep(errors, budget) for layer in parts[block]}
            if len(kept) < len(quantiser.layers):
                yield quantiser.graph(in_float=kept), _named(quantiser, kept)


def _named(quantiser: Quantiser, kept: Mapping[int, float]) -> dict[str, str]:
    told = "in int8 its block alone moves the map by {:.0%} of how much maps vary"
    return {quantiser.layers[layer][0]: told.format(error) for layer, error in kept.items()}
