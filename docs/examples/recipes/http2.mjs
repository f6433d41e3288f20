// Opens 20 streams over one HTTP/2 connection, as a browser does behind a proxy; over HTTP/1.1 it stops at six: node http2.mjs https://host:port [CA]
import { readFileSync } from "node:fs";
import { connect } from "node:http2";

const [origin, ca] = process.argv.slice(2);
const session = connect(origin, ca ? { ca: readFileSync(ca) } : {});
for (let stream = 1; stream <= 20; stream++) {
  const request = session.request({ ":path": `/esupdates?topic=stream/${stream}`, accept: "text/event-stream" });
  request.on("response", ({ ":status": status }) => console.log(`stream ${stream}: ${status}`));
  request.setEncoding("utf8").on("data", (text) => {
    for (const [, data] of text.matchAll(/^data: (.*)$/gm)) if (data !== "{}") console.log(`stream ${stream}: ${data}`);
  });
}
