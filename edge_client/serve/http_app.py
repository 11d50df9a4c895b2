"""What the service offers over HTTP: the KServe v2 protocol, an image file in and a verdict out, and metrics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edge_client.plain import one_line
from edge_client.serve import kserve
from edge_client.serve.http_limits import Places, come_again
from edge_client.serve.metrics import Metrics
from edge_client.serve.service import Busy, Service
from protos.errors import EdgeFedError, InvalidInput

Handler = Callable[[Request], Awaitable[Response]]


class HttpEntrance:
    """Answers requests with a service.

    Args:
        service: judges.
        metrics: are shown, and count the requests.
    """

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service, self._metrics, self._places = service, metrics, Places()
        model = "/v2/models/{name}"
        routes = [
            *(Route(f"/v2/health/{state}", self._alive) for state in ("live", "ready")),
            Route("/v2", self._server),
            Route(model, self._counted(self._model)),
            Route(f"{model}/ready", self._counted(self._model_ready)),
            Route(f"{model}/infer", self._counted(self._infer), methods=["POST"]),
            Route("/inspect", self._counted(self._inspect), methods=["POST"]),
            Route("/metrics", self._show_metrics),
        ]
        self.app = Starlette(routes=routes, exception_handlers={HTTPException: _refusal})

    async def _alive(self, request: Request) -> Response:
        return JSONResponse({})  # it listens only when a model is loaded

    async def _server(self, request: Request) -> Response:
        from importlib.metadata import version

        return JSONResponse({"name": "edgefed", "version": version("edgefed"), "extensions": ["binary_tensor_data"]})

    async def _show_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _model(self, request: Request) -> Response:
        return JSONResponse(kserve.metadata(self._service.serving))

    async def _model_ready(self, request: Request) -> Response:
        return JSONResponse({})

    async def _infer(self, request: Request) -> Response:
        header_length = request.headers.get("Inference-Header-Content-Length")
        body = await request.body()
        asked, images = await self._service.read(lambda: kserve.read_request(body, header_length))
        async with asyncio.TaskGroup() as group:
            judging = [group.create_task(self._service.judge(image)) for image in images]
        return JSONResponse(kserve.answer(asked, [task.result() for task in judging]))

    async def _inspect(self, request: Request) -> Response:
        image = await self._service.decode(await _file(request), "the body")
        verdict = await self._service.judge(image)
        if "image/png" not in request.headers.get("Accept", ""):
            return JSONResponse(verdict.document(), headers={"Vary": "Accept"})
        picture = await self._service.draw(verdict)
        headers = {"Vary": "Accept", "EdgeFed-Verdict": json.dumps(verdict.document())}
        return Response(picture, media_type="image/png", headers=headers)

    def _counted(self, handler: Handler) -> Handler:
        """The handler within the limits, its errors as answers, and all of them counted."""

        async def handle(request: Request) -> Response:
            try:
                with self._places.one(request.receive) as receive:
                    self._check_name(request)
                    response = await handler(Request(request.scope, receive))
            except Exception as error:
                response = await _refusal(request, _as_http(error))
            self._metrics.requests.labels("http", str(response.status_code)).inc()
            return response

        return handle

    def _check_name(self, request: Request) -> None:
        name, served = request.path_params.get("name"), self._service.serving.model.job
        if name not in (None, served):
            raise HTTPException(404, f"there is no model {name[:80]!r} here; {served!r} is served")


def _as_http(error: Exception) -> HTTPException:
    """What a client is told; an error that nobody foresaw goes up, into the log."""
    if isinstance(error, ExceptionGroup):  # of images that were judged together
        error = error.exceptions[0]
    match error:
        case HTTPException():
            return error
        case Busy():
            return come_again()
        case InvalidInput():
            return HTTPException(400, one_line(str(error)))
        case EdgeFedError():
            return HTTPException(500, one_line(str(error)))
        case ClientDisconnect():
            return HTTPException(400, "the client has gone")
    raise error


async def _file(request: Request) -> bytes:
    """The image file of a request: its whole body, or the one file of a form."""
    if not request.headers.get("Content-Type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=8) as form:
        files = [part for part in form.values() if isinstance(part, UploadFile)]
        if not files:
            raise HTTPException(400, "the form holds no file; send one image")
        return await files[0].read()


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
