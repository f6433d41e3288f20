# Publishes an event and prints its id: ruby publish.rb TOPIC DATA [ADDRESS]   (Debian: ruby-ffi-rzmq)
require "ffi-rzmq"
require "json"
topic, data, address = ARGV
socket = ZMQ::Context.new.socket(ZMQ::REQ)
[[ZMQ::LINGER, 0], [ZMQ::RCVTIMEO, 10_000]].each { |option, value| socket.setsockopt(option, value) }
socket.connect(address || "tcp://127.0.0.1:9997")
socket.send_strings([topic, data])
abort "no reply: the event may be published or not" if socket.recv_string(reply = +"") < 0
JSON.parse(reply).then { |it| it["id"] ? puts(it["id"]) : abort(it["error"]["message"]) }
