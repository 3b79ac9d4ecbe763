# SPDX-License-Identifier: Apache-2.0
# Copyright The mod_m2mgw authors
#
# WSGI: a plain application, one of Flask and one of Django, each with its own routing. Served
# by wsgiref (`python3 wsgi.py PORT NAME`) or by gunicorn (`wsgi:NAME`).
import sys
from urllib.parse import parse_qs


def answer(section, query=(), form=(), cookie=(), header=()):
    lines = ["section=" + section]
    for source, values in (("query", query), ("form", form), ("cookie", cookie), ("header", header)):
        lines += [source + "=" + value for value in values if value is not None]
    return "\n".join(lines) + "\n"


def plain(environ, start_response):
    path = environ.get("PATH_INFO", "")
    inside = path == "/app" or path.startswith("/app/")
    text = answer("app" if inside else "open",
                  parse_qs(environ.get("QUERY_STRING", "")).get("client_id", []),
                  header=[environ.get("HTTP_X_CLIENT_ID")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]


def make_flask():
    from flask import Flask, request
    app = Flask("backend")
    methods = ["GET", "POST"]

    def show(section):
        return answer(section, request.args.getlist("client_id"), request.form.getlist("client_id"),
                      [request.cookies.get("client_id")], [request.headers.get("X-Client-Id")])

    app.add_url_rule("/app/", "app", lambda: show("app"), methods=methods)
    app.add_url_rule("/app/<path:rest>", "apps", lambda rest: show("app"), methods=methods)
    app.add_url_rule("/", "open", lambda: show("open"), methods=methods)
    app.add_url_rule("/<path:rest>", "opens", lambda rest: show("open"), methods=methods)
    return app


def make_django():
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import re_path

    def show(section):
        def view(request, *rest):
            return HttpResponse(answer(section, request.GET.getlist("client_id"),
                                       request.POST.getlist("client_id"),
                                       [request.COOKIES.get("client_id")],
                                       [request.META.get("HTTP_X_CLIENT_ID")]),
                                content_type="text/plain")
        return view

    routes = [re_path(r"^app(/.*)?$", show("app")), re_path(r"^(.*)$", show("open"))]
    settings.configure(ROOT_URLCONF=tuple(routes), ALLOWED_HOSTS=["*"], SECRET_KEY="x",
                       MIDDLEWARE=[])
    return get_wsgi_application()


def __getattr__(name):
    return {"flask_app": make_flask, "django_app": make_django}[name]()


if __name__ == "__main__":
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Silent(WSGIRequestHandler):
        def log_message(self, *args):
            pass

    make_server("127.0.0.1", int(sys.argv[1]), plain, handler_class=Silent).serve_forever()
