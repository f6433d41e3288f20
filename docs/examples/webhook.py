"""Receives webhooks of m2push and keeps the list of visitors who are there. Needs Python 3.9 and no package.

WEBHOOK_SECRET=whsec_... python3 webhook.py 8080
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
TOLERANCE_SECONDS = 300

present = {}  # session -> event; a database in a real backend
seen = set()  # ids of events: an event may come twice


def is_signed(headers, body):
    message_id, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    if message_id is None or timestamp is None or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    content = f"{message_id}.{timestamp}.".encode() + body
    signature = b"v1," + base64.b64encode(hmac.digest(KEY, content, hashlib.sha256))
    given = headers["webhook-signature"] or ""
    return any(hmac.compare_digest(signature, one.encode()) for one in given.split(" "))


def handle(event):
    if event["id"] in seen:
        return
    seen.add(event["id"])
    if event["kind"] in ("connect", "adopt"):
        present[event["session"]] = event
    elif event["kind"] == "disconnect":
        present.pop(event["session"], None)
    elif event["kind"] == "events_lost":
        print(f"{event['count']} events were lost: ask the daemon for its clients (GET /clients)")
    print(event["kind"], event.get("subject") or event.get("remote", ""), f"present: {len(present)}", flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        is_genuine = is_signed(self.headers, body)
        for event in json.loads(body)["data"]["events"] if is_genuine else []:
            handle(event)
        self.send_response(204 if is_genuine else 401)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver)
print(f"listening on {server.server_port}", flush=True)
server.serve_forever()
