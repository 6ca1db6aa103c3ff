"""``/``: a page to try the base and its adapters side by side, by the API that everybody uses."""

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

_FOLDER: Final = Path(__file__).parent
_HEADERS: Final = {
    # What a model writes is text, never markup; even so nothing but these files may run.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


async def _file(request: Request) -> Response:
    name = request.url.path.removeprefix("/") or "index.html"
    return FileResponse(_FOLDER / name, headers=_HEADERS)


ROUTES: Final = [Route(path, _file) for path in ("/", "/chat.js", "/chat.css")]
