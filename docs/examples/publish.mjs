// Publishes an event and prints its id: node publish.mjs TOPIC DATA [ADDRESS]   (npm: zeromq)
import { Request } from "zeromq";

const [topic, data, address = "tcp://127.0.0.1:9997"] = process.argv.slice(2);
const socket = new Request({ linger: 0, receiveTimeout: 10_000 }); // without a reply the event may be published or not
socket.connect(address);
await socket.send([topic, data]);
const { id, error } = JSON.parse(String(await socket.receive()));
if (error) throw new Error(error.message);
console.log(id);
