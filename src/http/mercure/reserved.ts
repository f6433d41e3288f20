/** The namespace of the hub (Mercure, "Reserved topics"): publishers may not publish there, through any ingress. */

/** Percent-encoded characters that need no encoding: letters, digits, "-", ".", "_" and "~" (RFC 3986 section 6.2.2.2). */
const UNRESERVED = /%(2D|2E|5F|7E|3[0-9]|[46][1-9A-F]|[57][0-9A])/gi;
/** Scheme and authority, unparsed. */
const AUTHORITY = /^(?:[a-z][a-z0-9+.-]*:)?\/\/[^/?#]*/i;
/** A name without the delimiters of an address: most topics, and 20 times cheaper to check than by parsing a URL. */
const PLAIN_NAME = /^[^/\\%.:#?\s]+$/;

/**
 * Whether a topic resolves to the hub's path or below it, at any authority (text that is not a URL resolves to nothing), or starts like the
 * address of a subscription: 0.x subscribers compare texts, so that `<hub>/subscriptions/../x` is such an address to them.
 */
export function isReserved(topic: string, hub: URL): boolean {
  if (PLAIN_NAME.test(topic)) return hub.pathname.endsWith(`/${topic}`);
  if (topic.replace(AUTHORITY, "").startsWith(`${hub.pathname}/subscriptions`)) return true;
  const path = pathOnHub(topic, hub);
  return path !== undefined && (path === hub.pathname || path.startsWith(`${hub.pathname}/`));
}

/** The path, with dot segments removed (the parser treats "%2e" as a dot, too) and unreserved characters decoded. */
function pathOnHub(topic: string, hub: URL): string | undefined {
  try {
    const { pathname } = new URL(topic, hub);
    return pathname.replace(UNRESERVED, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  } catch {
    return undefined;
  }
}
