import { describe } from "node:test";
import { startMongrel2 } from "../../support/mongrel2.js";
import { RawConnection } from "../../support/sse-client.js";
import { scenario } from "../scenario.js";

const GET = "GET /esupdates HTTP/1.1\r\nHost: localhost\r\n\r\n";

describe("Scenario, end to end", () => {
  for (const protocol of ["json", "tnetstring"] as const) {
    scenario(`the real Mongrel2 with ${protocol} headers`, async () => {
      const server = await startMongrel2({ protocol });
      const browse = () => {
        const connection = new RawConnection(server.port);
        connection.write(GET);
        return {
          get text() {
            return connection.text;
          },
          get isOver() {
            return connection.isClosed;
          },
          received: (part: string) => connection.until(({ text }) => text.includes(part), part),
          over: () => connection.over(),
          leave: () => connection.close(),
        };
      };
      return { server, browse, close: () => server.stop() };
    });
  }
});
