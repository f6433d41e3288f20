/** The clients that are furthest behind, for operators. */
import type { Client } from "../../delivery/client.js";
import type { ServerDelivery } from "../../delivery/server-delivery.js";
import { wordsOf } from "../../matching/selector.js";
import { abbreviate, abbreviateList } from "../../util/abbreviate.js";
import type { Clock } from "../../util/clock.js";

/** Its details are at /clients/SERVER/ID. */
export interface SlowClient {
  readonly server: string;
  readonly id: number;
  readonly remote: string;
  /** Its first topics and patterns, abbreviated. */
  readonly topics: readonly string[];
  readonly connectedSeconds: number;
  /** Publications, of all topics, that it has not been sent yet. */
  readonly eventsBehind: number;
  /** Bytes that may be sent to it now; 0 or less: it reads slowly. Null = Mongrel2 sets no limit. */
  readonly creditAvailableBytes: number | null;
}

const SHOWN_CLIENT_COUNT = 10;
const SHOWN_TOPICS = { maxWords: 3, maxWordCharacters: 80, maxCharacters: 300 };

/** At most 10, the one that is furthest behind first; only clients that catch up. */
export function slowestClients(servers: readonly ServerDelivery[], clock: Clock): SlowClient[] {
  const slow = servers.flatMap((server) =>
    server.furthestBehind(SHOWN_CLIENT_COUNT).map((client) => view(server, client, clock)),
  );
  return slow.sort((a, b) => b.eventsBehind - a.eventsBehind).slice(0, SHOWN_CLIENT_COUNT);
}

function view(server: ServerDelivery, client: Client, clock: Clock): SlowClient {
  const { id, remote, audience, since, creditLimit, creditAvailable } = client;
  return {
    server: server.name,
    id,
    remote: abbreviate(remote),
    topics: abbreviateList(audience.interest.selectors.map(wordsOf), SHOWN_TOPICS),
    connectedSeconds: Math.round(Math.max(0, clock.monotonic() - since)) / 1000,
    eventsBehind: server.eventsBehind(client),
    creditAvailableBytes: creditLimit === Number.POSITIVE_INFINITY ? null : creditAvailable,
  };
}
