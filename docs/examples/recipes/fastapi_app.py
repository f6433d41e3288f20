# A FastAPI application that publishes: PORT=8000 python3 fastapi_app.py   (Debian: python3-fastapi)
import os
import urllib.parse
import urllib.request

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Price(BaseModel):
    value: float


# "def", not "async def": FastAPI runs it in a thread, so that the request to the hub holds up nobody.
@app.put("/prices/{symbol}")
def set_price(symbol: str, price: Price):
    body = urllib.parse.urlencode({"topic": f"prices/{symbol}", "data": price.json(), "type": "price"}).encode()
    request = urllib.request.Request(os.environ["MERCURE_URL"], body, {"Authorization": f"Bearer {os.environ['MERCURE_JWT']}"})
    with urllib.request.urlopen(request, timeout=5) as response:
        return {"id": response.read().decode()}


uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
