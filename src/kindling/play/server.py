"""The page of a toy, served to this machine alone."""

import json
import socket
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.middleware.trustedhost import TrustedHostMiddleware

from kindling.errors import UserError
from kindling.files import in_bytes
from kindling.play.toy import MAX_DRAWING, MAX_UPLOAD, Toy

HOST = "127.0.0.1"
MAX_ROW = 2**16  # bytes
PAGE = Path(__file__).with_name("page.html")
HEADERS = {  # the page asks this server alone, and no other page may show it
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def app_of(toy: Toy) -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    # A name of another site that was made to point here (DNS rebinding) would let its pages ask.
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])

    @app.exception_handler(UserError)
    async def tell(_request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.get("/")
    async def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers=HEADERS)

    @app.get("/about")
    async def about() -> JSONResponse:
        return JSONResponse(await run_in_threadpool(toy.about))

    @app.post("/drawing")
    async def drawing(request: Request) -> JSONResponse:
        content = await body_of(request, MAX_DRAWING**2)
        return JSONResponse(await run_in_threadpool(toy.drawing, content))

    @app.post("/row")
    async def row(request: Request) -> JSONResponse:
        return JSONResponse(await run_in_threadpool(toy.row, parsed(await body_of(request, MAX_ROW))))

    @app.post("/file")
    async def file(request: Request, name: str = "upload") -> JSONResponse:
        return JSONResponse(await run_in_threadpool(toy.file, name[:255], await body_of(request, MAX_UPLOAD)))

    return app


async def body_of(request: Request, limit: int) -> bytes:
    """Of a type that no form of another site can send without being asked for leave first.

    Raises:
        UserError: where it is of another type, or larger.
    """
    if request.headers.get("content-type") != "application/octet-stream":
        raise UserError("the body should be of the type application/octet-stream")
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > limit:
            raise UserError(f"more than {in_bytes(limit)} were sent, which are the most")
    return bytes(content)


def parsed(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise UserError("a row should be a list of values in JSON") from None


def bound(port: int) -> socket.socket:
    """Raises:
    UserError: where the port cannot be used.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen()  # who follows the address at once waits for the server, and is not turned away
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or "a port is a number from 0 to 65535"
        raise UserError(f"--port {port}: {reason}; --port 0 takes a free one") from None
    return listener


def server_of(toy: Toy) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app_of(toy),
            log_level="error",
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=1,
        )
    )
