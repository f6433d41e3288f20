/** Findings about Mongrel2's configuration database. Every text is here once; tests compare with this table. */
import { type Finding, fail, ok, quoted, warn } from "./finding.js";

/** A route of the daemon that Mongrel2 lacks. */
interface MissingRoute {
  readonly path: string;
  /** The route to add. */
  readonly route: string;
  /** The route that receives the path instead; undefined: none. */
  readonly instead: { readonly path: string; readonly targetType: string } | undefined;
  readonly effect: string;
}

const SAME_IDENT = "set send_ident to the same value in [[mongrel2]] and in the Handler";

export const databaseFindings = {
  unreadable: (message: string) => fail(message, "create it: m2sh load -config mongrel2.conf -db config.sqlite"),

  // The Handler.
  handlerFound: (id: number) => ok(`send_spec and recv_spec match Handler ${id}`),
  handlerBehindProxy: (id: number) =>
    ok(`Handler ${id} has this send_ident (with bind = true its specs are a proxy's)`),
  handlersMerged: (count: number) =>
    warn(
      `${count} Handlers have these two specs but different idents: Mongrel2 uses the idents of the first one for all`,
      "define the Handler once and use it in several routes",
    ),
  specsSwapped: () =>
    fail(
      "send_spec and recv_spec are swapped: each has the other one's value in Mongrel2's configuration",
      "exchange the two in [[mongrel2]] (both are named from Mongrel2's point of view)",
    ),
  specDiffers: (name: "send_spec" | "recv_spec", ours: string, theirs: string) => {
    const other = name === "send_spec" ? "recv_spec" : "send_spec";
    const problem = `${name} is ${ours}, but the Handler with this ${other} has ${quoted(theirs)}`;
    return fail(problem, `set ${name} to that of the Handler`);
  },
  handlerMissing: (sendSpec: string, recvSpec: string, existing: string) =>
    fail(
      `no Handler has send_spec ${sendSpec} and recv_spec ${recvSpec}: ${existing}`,
      "set both specs in [[mongrel2]] to those of the Handler",
    ),
  identMissing: (ident: string) => fail(`no Handler has send_ident ${quoted(ident)}`, SAME_IDENT),

  // Its idents and protocol.
  sendIdentInvalid: (theirs: string) =>
    fail(
      `the Handler's send_ident ${quoted(theirs)} has characters other than letters, digits and "-": Mongrel2 cannot parse responses`,
      "use a UUID as send_ident, in the Handler and in [[mongrel2]]",
    ),
  sendIdentEqual: () => ok("send_ident equals the Handler's"),
  sendIdentDiffers: (ours: string, theirs: string) =>
    fail(`send_ident is ${quoted(ours)} here and ${quoted(theirs)} in Mongrel2`, SAME_IDENT),
  recvIdentGood: () => ok("recv_ident is send_ident followed by a space"),
  recvIdentEmpty: (servers: number, prefix: string) =>
    fail(
      `recv_ident is empty and the daemon serves ${servers} Mongrel2 servers: this one also receives responses for the others`,
      setRecvIdent(prefix),
    ),
  recvIdentTooShort: (theirs: string, prefix: string) =>
    warn(`recv_ident ${quoted(theirs)} also matches responses for other idents`, setRecvIdent(prefix)),
  recvIdentWrong: (theirs: string, prefix: string) =>
    fail(
      `recv_ident ${quoted(theirs)} is not a prefix of the daemon's responses (${quoted(prefix)}): Mongrel2 drops all of them`,
      setRecvIdent(prefix),
    ),
  protocolGood: (protocol: string) => ok(`protocol is ${protocol}`),
  protocolUnknown: (protocol: string) =>
    warn(`protocol ${quoted(protocol)} is unknown: Mongrel2 silently uses json`, "set protocol='tnetstring'"),

  // Hosts and routes.
  defaultHostGood: (name: string) => ok(`default_host ${quoted(name)} names a Host`),
  defaultHostMissing: (name: string, hosts: readonly string[]) =>
    fail(
      `default_host ${quoted(name)} names no Host: requests for any other name or address get 404`,
      `set it to one of ${hosts.map(quoted).join(", ")}`,
    ),
  routeFound: (path: string) => ok(`${path} is routed to this Handler`),
  routeAnchored: (route: string) => ok(`the route '${route}' matches its path only`),
  routeNotAnchored: (path: string, route: string) =>
    warn(
      `the route '${route}' matches other paths too: Mongrel2 also sends ${path.slice(0, 2)} and ${path}X to the daemon`,
      `write it as '${path}()$'`,
    ),
  routeMissing: (level: (what: string, fix: string) => Finding, { path, route, instead, effect }: MissingRoute) => {
    const actual = instead ? ` (the route '${instead.path}' sends it to a ${instead.targetType})` : "";
    const problem = `no route sends ${path} to this Handler${actual}: ${effect}`;
    return level(problem, `add the route '${route}' with this Handler to the Host`);
  },
  controlPortDiffers: (ours: string, theirs: string) =>
    fail(
      `control is ${ours}, but Mongrel2's control_port is ${quoted(theirs)}`,
      "set control to that address (Mongrel2's ipc paths are relative to the folder where it was started, or to its chroot)",
    ),

  // [hub] origin.
  originGood: (origin: string) => ok(`[hub] origin ${origin} has the scheme and port of Mongrel2`),
  originOfProxy: (origin: string, scheme: string, port: number, address: string) =>
    ok(`[hub] origin ${origin} is a proxy's: Mongrel2 serves ${scheme} on port ${port} of ${address} only`),
  originDiffers: (origin: string, scheme: string, port: number, wanted: string) =>
    warn(
      `[hub] origin is ${origin}, but Mongrel2 serves ${scheme} on port ${port}: browsers cannot reach the hub there, and tokens name another hub`,
      `set [hub] origin = "${wanted}", or let a proxy serve ${origin}`,
    ),
  hostPatterns: (name: string) =>
    ok(`the Host for ${name} ([hub] origin) may be a pattern, which only Mongrel2 can evaluate`),
  hostMissing: (name: string) =>
    warn(`no Host receives requests for ${name} ([hub] origin)`, `add a Host with the name ${quoted(name)}`),
  hostGood: (name: string, host: string) => ok(`requests for ${name} ([hub] origin) go to ${host}`),
  hostRoutesMissing: (name: string, host: string, paths: readonly string[]) =>
    warn(
      `requests for ${name} ([hub] origin) go to ${host}, which has no route to this Handler for ${paths.join(", ")}`,
      "add the routes to that Host, or correct [hub] origin",
    ),

  // Settings.
  settingGood: (key: string, value: number) => ok(`${key} is ${value}`),
  settingBad: (key: string, value: number, effect: string, wanted: number) =>
    warn(`${key} is ${value}: ${effect}`, `set '${key}': ${wanted}`),
  uploadsGood: () => ok("upload.temp_store is set: Mongrel2 closes no descriptor that it did not open"),
  uploadsUnset: () =>
    warn(
      "upload.temp_store is not set: a request with a body above limits.content_length, or without a length, makes Mongrel2 close another client's connection",
      "set 'upload.temp_store': '/dev/null/XXXXXX'; such a request then ends its own connection only",
    ),
  forwardingKept: () => ok("no_clobber_xff is 1: Mongrel2 keeps the X-Forwarded-For of proxies"),
  forwardingReplaced: () =>
    warn(
      "no_clobber_xff is 0: Mongrel2 replaces the X-Forwarded-For of the trusted proxies, so only Forwarded and X-Real-IP can name visitors",
      "set 'no_clobber_xff': 1",
    ),
  batchesTooLarge: (contentBytes: number, batchBytes: number) =>
    warn(
      `limits.content_length is ${contentBytes}: Mongrel2 refuses batches that m2push accepts ([publish] max_batch_bytes is ${batchBytes})`,
      `set 'limits.content_length': ${batchBytes}, or lower max_batch_bytes`,
    ),
} as const;

const setRecvIdent = (prefix: string): string =>
  `set recv_ident=${quoted(prefix)} (send_ident and one space) in the Handler`;
