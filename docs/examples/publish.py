# Publishes an event and prints its id: python3 publish.py TOPIC DATA [ADDRESS]   (Debian: python3-zmq)
import json, sys, zmq
topic, data, address = (sys.argv[1:] + ["tcp://127.0.0.1:9997"])[:3]
socket = zmq.Context.instance().socket(zmq.REQ)
socket.setsockopt(zmq.LINGER, 0)
socket.setsockopt(zmq.RCVTIMEO, 10_000)  # without a reply the event may be published or not
socket.connect(address)
socket.send_multipart([topic.encode(), data.encode()])
reply = json.loads(socket.recv())
print(reply["id"] if "id" in reply else sys.exit(reply["error"]["message"]))
