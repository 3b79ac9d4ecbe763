# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# ASGI: Starlette behind uvicorn (`uvicorn asgi:app`).
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route


def show(section):
    async def view(request):
        form = await request.form() if request.method == "POST" else None
        lines = ["section=" + section]
        lines += ["query=" + value for value in request.query_params.getlist("client_id")]
        lines += ["form=" + value for value in form.getlist("client_id")] if form else []
        for source, values in (("cookie", request.cookies), ("header", request.headers)):
            value = values.get("client_id" if source == "cookie" else "x-client-id")
            lines += [source + "=" + value] if value is not None else []
        return PlainTextResponse("\n".join(lines) + "\n")
    return view


methods = ["GET", "POST"]
app = Starlette(routes=[
    Route("/app", show("app"), methods=methods),
    Mount("/app", routes=[Route("/{rest:path}", show("app"), methods=methods)]),
    Route("/{rest:path}", show("open"), methods=methods),
])
