# A Django application that publishes each saved comment: PORT=8000 python3 django_app.py   (Debian: python3-django)
import os
import urllib.parse
import urllib.request
from wsgiref.simple_server import make_server

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["127.0.0.1", "localhost"], ROOT_URLCONF=__name__, SECRET_KEY=os.urandom(32).hex())


def publish(topic, data):
    body = urllib.parse.urlencode({"topic": topic, "data": data}).encode()
    headers = {"Authorization": f"Bearer {os.environ['MERCURE_JWT']}"}
    request = urllib.request.Request(os.environ["MERCURE_URL"], body, headers)
    with urllib.request.urlopen(request, timeout=5) as response:
        return response.read().decode()


def comments(request, article):
    # With a database: transaction.on_commit(lambda: publish(...)), or a subscriber may read before the row is there.
    return JsonResponse({"id": publish(f"articles/{article}/comments", request.POST["text"])}, status=201)


urlpatterns = [path("articles/<int:article>/comments", comments)]
make_server("127.0.0.1", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
