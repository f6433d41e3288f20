# A WSGI application without a framework, and without any package, that publishes: PORT=8000 python3 wsgi_app.py
import os
import urllib.parse
import urllib.request
from wsgiref.simple_server import make_server


def application(environ, start_response):
    text = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
    body = urllib.parse.urlencode({"topic": "notes", "data": text}).encode()
    headers = {"Authorization": f"Bearer {os.environ['MERCURE_JWT']}"}
    with urllib.request.urlopen(urllib.request.Request(os.environ["MERCURE_URL"], body, headers), timeout=5) as response:
        start_response("201 Created", [("Content-Type", "text/plain; charset=utf-8")])
        return [response.read()]


make_server("127.0.0.1", int(os.environ["PORT"]), application).serve_forever()
