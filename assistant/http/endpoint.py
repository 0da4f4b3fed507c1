"""What all endpoints share: reading the body, and errors in the form of each protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from git_copilot.assistant.core.error_handler import describe_failure
from git_copilot.assistant.http.errors import ErrorForm
from git_copilot.assistant.http.fields import Fields
from git_copilot.assistant.http.guard import Refused
from git_copilot.assistant.service.request_queue import RequestDropped, ServerBusy
from git_copilot.index.core.errors import BUG, USAGE, CopilotError

BAD_REQUEST, CONFLICT, SERVER_ERROR, UNAVAILABLE = 400, 409, 500, 503
# The client is gone: nobody reads this status, which other servers log for it too.
CLIENT_CLOSED = 499

Handler = Callable[[Request, Fields], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def endpoint(handler: Handler, form: ErrorForm) -> Endpoint:
    """An endpoint that reads a JSON body and answers errors in ``form``."""

    async def answer(http: Request) -> Response:
        try:
            body = await http.body()
            return await handler(http, Fields.parse(body))
        except Refused:
            raise  # the guard's own
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED)
        except Exception as exc:  # noqa: BLE001 - every error has one form
            return failure(exc, form)

    return answer


def failure(exc: Exception, form: ErrorForm) -> Response:
    """An exception as the answer of a protocol."""
    if isinstance(exc, RequestDropped):
        status = CONFLICT if exc.superseded else CLIENT_CLOSED
        return JSONResponse(form(status, f"the request was {exc}"), status)
    found = describe_failure(exc)
    headers = {"Retry-After": "1"} if isinstance(exc, ServerBusy) else None
    message = "; ".join(filter(None, (found.message, found.hint)))
    if isinstance(exc, CopilotError):
        status = BAD_REQUEST if found.exit_code == USAGE else UNAVAILABLE
    else:
        status = SERVER_ERROR if found.exit_code == BUG else UNAVAILABLE
    return JSONResponse(form(status, message), status, headers)
