"""The HTTP entrance over real sockets."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from edge_client.images import read_image
from edge_client.serve import http_limits
from edge_client.serve import service as service_module
from edge_client.serve.http_app import HttpEntrance
from edge_client.serve.http_server import listen, serve_http
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Service
from protos.errors import InvalidInput, Unavailable


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Any]


@pytest.fixture
async def port(service: Service, metrics: Metrics) -> AsyncIterator[int]:
    stop = asyncio.Event()
    listening = listen("127.0.0.1:0")
    running = asyncio.create_task(serve_http(HttpEntrance(service, metrics).app, listening, stop))
    yield listening.getsockname()[1]
    stop.set()
    await running


@pytest.fixture
def ask(port: int) -> Ask:
    def call(method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    async def ask(method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(call, method, path, body, named)

    return ask


async def test_health_and_metadata_are_kserves(ask: Ask, service: Service) -> None:
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/cells/ready"):
        assert (await ask("GET", path)).status == 200
    assert (await ask("GET", "/v2")).json["name"] == "edgefed"
    model = (await ask("GET", "/v2/models/cells")).json
    assert model["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    assert model["versions"] == [service.serving.digest[:12]]


async def test_an_image_file_gets_the_verdict_that_infer_gives(ask: Ask, service: Service, cell: Path) -> None:
    found = (await ask("POST", "/inspect", cell.read_bytes())).json
    assert found["verdict"] == "defect"
    assert found["score"] == pytest.approx(service.serving.model.judge(cell).score, rel=1e-5)
    assert found["model_digest"] == service.serving.digest


async def test_a_form_with_a_file_is_taken_too(ask: Ask, cell: Path) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    kind = "multipart/form-data; boundary=x"
    found = await ask("POST", "/inspect", head + cell.read_bytes() + b"\r\n--x--\r\n", Content_Type=kind)
    assert found.json["verdict"] == "defect"
    empty = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    refused = await ask("POST", "/inspect", empty, Content_Type=kind)
    assert (refused.status, refused.json["error"]) == (400, "the form holds no file; send one image")
    assert (await ask("POST", "/inspect", b"nonsense", Content_Type=kind)).status == 400


async def test_who_accepts_png_gets_the_heat_map(ask: Ask, cell: Path) -> None:
    found = await ask("POST", "/inspect", cell.read_bytes(), Accept="image/png")
    assert found.headers["Content-Type"] == "image/png"
    assert json.loads(found.headers["EdgeFed-Verdict"])["verdict"] == "defect"
    assert Image.open(io.BytesIO(found.body)).size[0] > 400


def tensor(images: np.ndarray, data: Any) -> dict[str, Any]:
    return {"name": "images", "shape": list(images.shape), "datatype": "UINT8", "data": data}


async def test_kserve_infer_judges_a_batch_as_json_or_binary(ask: Ask, service: Service, cells: Path) -> None:
    paths = sorted((cells / "test").rglob("*.png"))[5:7]
    images = np.stack([np.asarray(Image.fromarray(read_image(path)).resize((32, 32))) for path in paths])
    expected = [judgement.score for judgement in service.serving.model.judge_images(list(images))]
    asked = {"id": "7", "inputs": [tensor(images, images.tolist())]}
    answer = (await ask("POST", "/v2/models/cells/infer", json.dumps(asked).encode())).json
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert (answer["id"], answer["model_name"], outputs["score"]["shape"]) == ("7", "cells", [2])
    assert outputs["score"]["data"] == pytest.approx(expected, rel=1e-5)
    assert len(outputs["map"]["data"]) == np.prod(outputs["map"]["shape"])
    binary = {**tensor(images, None), "parameters": {"binary_data_size": images.size}}
    head = json.dumps({"inputs": [binary], "outputs": [{"name": "score"}]}).encode()
    length = {"Inference_Header_Content_Length": str(len(head))}
    again = (await ask("POST", "/v2/models/cells/infer", head + images.tobytes(), **length)).json
    assert [output["name"] for output in again["outputs"]] == ["score"]
    assert again["outputs"][0]["data"] == pytest.approx(expected, rel=1e-5)


ONE = np.zeros((1, 2, 2, 3), np.uint8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shape": [1, 2, 2]}, "at least 4 items"),
        ({"shape": [1, 2, 2, 4]}, "it takes (images up to 8, height, width, 3)"),
        ({"shape": [9, 2, 2, 3]}, "it takes (images up to 8"),
        ({"shape": [1, 2**40, 2**40, 3]}, "million pixels"),
        ({"shape": [1, 2, 3, 3]}, "has 18 values; 12 came"),
        ({"datatype": "FP32"}, "UINT8"),
        ({"name": "x"}, "images"),
        ({"data": [256] * 12}, "whole numbers from 0 to 255"),
        ({"data": [0.5] * 12}, "whole numbers from 0 to 255"),
        ({"data": [[1], [1, 2]]}, "not one regular array"),
        ({"data": None}, "whole numbers from 0 to 255"),
        ({"data": []}, "whole numbers from 0 to 255"),
        ({"parameters": {"binary_data_size": 11}}, "has 12 values; 0 came"),
    ],
)
async def test_a_wrong_tensor_is_told_what_is_wrong(ask: Ask, change: dict[str, Any], words: str) -> None:
    asked = {"inputs": [{**tensor(ONE, ONE.ravel().tolist()), **change}]}
    refused = await ask("POST", "/v2/models/cells/infer", json.dumps(asked).encode())
    assert refused.status == 400
    assert words in refused.json["error"]


@pytest.mark.parametrize("length", ["-1", "x", "²", "9" * 5000])
async def test_a_length_that_is_no_number_of_bytes_is_refused(ask: Ask, length: str) -> None:
    """Found by trying: Python itself fails over a number of thousands of digits, and the answer was a 500."""
    named = {"Inference_Header_Content_Length": length}
    refused = await ask("POST", "/v2/models/cells/infer", b"{}", **named)
    assert refused.status == 400 and "is not a number of bytes" in refused.json["error"]


def bomb() -> bytes:
    """A PNG of a few hundred bytes that says it has 400 million pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(9999))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/inspect", b"not an image", 400, "the body is not a PNG, JPEG"),
        ("/inspect", b"", 400, "the body is not a PNG, JPEG"),
        ("/inspect", bomb(), 400, "the body has 20000 x 20000 pixels"),
        ("/inspect", base64.b64decode("iVBORw0KGgo=") + b"x" * 99, 400, "the body "),
        ("/v2/models/cells/infer", b"{", 400, "Invalid JSON"),
        ("/v2/models/cells/infer", b"[" * 100_000, 400, "Invalid JSON"),
        ("/v2/models/cells/infer", b" " * (9 << 20), 400, "send the tensor as binary data"),
        ("/v2/models/other/infer", b"{}", 404, "there is no model 'other' here"),
        ("/nowhere", b"", 404, "Not Found"),
        ("/v2", b"", 405, "Method Not Allowed"),
    ],
)
async def test_what_cannot_be_judged_is_a_4xx_that_says_why(
    ask: Ask, path: str, body: bytes, status: int, words: str
) -> None:
    refused = await ask("POST", path, body)
    assert refused.status == status
    assert words in refused.json["error"]


async def test_a_body_over_the_limit_is_413(ask: Ask, monkeypatch: pytest.MonkeyPatch, metrics: Metrics) -> None:
    monkeypatch.setattr(http_limits, "BODY_BYTES", 1 << 10)
    refused = await ask("POST", "/inspect", bytes(2 << 10))
    assert (refused.status, refused.headers["Connection"]) == (413, "close")
    assert 'edgefed_requests_total{entrance="http",outcome="413"} 1.0' in metrics.text().decode()


async def test_too_many_at_once_are_told_when_to_come_again(
    ask: Ask, cell: Path, monkeypatch: pytest.MonkeyPatch, service: Service
) -> None:
    monkeypatch.setattr(service_module, "MOST_WAITING", 1)
    held = asyncio.create_task(service.judge(read_image(cell), patient=True))
    crowd = await asyncio.gather(held, *(ask("POST", "/inspect", cell.read_bytes()) for _ in range(12)))
    turned_away = [reply for reply in crowd[1:] if reply.status == 503]
    assert {reply.status for reply in crowd[1:]} <= {200, 503}
    assert all(reply.headers["Retry-After"] == "1" for reply in turned_away)
    monkeypatch.setattr(http_limits, "MOST_REQUESTS", 0)
    assert (await ask("POST", "/inspect", cell.read_bytes())).headers["Retry-After"] == "1"


async def received(port: int, sent: bytes, seconds: float = 10) -> bytes:
    """All that comes until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("sent", [b"", b"GET /v2 HT", b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\nGET /v2 HTTP/1.1\r\nX: "])
async def test_who_dawdles_over_headers_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(http_limits, "HEADERS_S", 0.3)
    await received(port, sent)


async def test_who_dawdles_over_the_body_is_let_go(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_limits, "BODY_S", 0.3)
    head = b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 999\r\n\r\nabc"
    answer = await received(port, head)
    assert answer.startswith(b"HTTP/1.1 408") and b"did not come within" in answer


async def test_who_sends_slowly_keeps_nobody_out(port: int, ask: Ask, cell: Path) -> None:
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
    for _, writer in slow:
        writer.write(b"POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n" + bytes(999))
    try:
        await asyncio.sleep(0.2)  # all of them are being read
        assert (await ask("POST", "/inspect", cell.read_bytes())).status == 200
    finally:
        for _, writer in slow:
            writer.close()
            await writer.wait_closed()


async def test_metrics_are_prometheus_text(ask: Ask, cell: Path) -> None:
    await ask("POST", "/inspect", cell.read_bytes())
    found = await ask("GET", "/metrics")
    assert found.headers["Content-Type"].startswith("text/plain")
    assert b'edgefed_requests_total{entrance="http",outcome="200"} 1.0' in found.body
    assert b"edgefed_model_info{" in found.body


async def test_answers_are_sent_without_delay(port: int) -> None:
    """Found by measuring: with a socket that names no protocol every second packet waited 40 ms for the first one."""

    def usual() -> float:
        connection, took = http.client.HTTPConnection("127.0.0.1", port), []
        for _ in range(10):
            began = time.perf_counter()
            connection.request("GET", "/v2")
            connection.getresponse().read()
            took.append(time.perf_counter() - began)
        connection.close()
        return sorted(took)[4]

    assert await asyncio.to_thread(usual) < 0.03


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":8000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput, match="HOST:PORT"):
        listen(address)


@pytest.mark.parametrize("host", ["nowhere.invalid", "x" * 300, "a..b"])
def test_a_host_that_is_not_this_machine_is_unavailable(host: str) -> None:
    with pytest.raises(Unavailable, match="cannot listen on"):
        listen(f"{host}:0")


def test_a_port_in_use_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Unavailable, match="cannot listen on"):
        listen(f"127.0.0.1:{taken.getsockname()[1]}")
