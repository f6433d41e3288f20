/**
 * Brings the literal text of URL patterns into the form that it has in a parsed URL (URL Pattern Standard, "Canonicalization"):
 * `café` in a path becomes `caf%C3%A9`, a host name lower case. Node's URL does the work: the text is put into an URL that
 * has everything else, and read back.
 */
import { ProtocolError } from "../errors.js";

type Encode = (text: string) => string;

const PLAIN = "https://m2push.invalid";
/** Of a host name (RFC 1035). Beyond ASCII a longer one costs the square of its length: 1,300 characters took 2 ms. */
const MAX_HOST_CHARACTERS = 253;
/** In no host: what would end it, and what the URL Standard forbids there. */
const NOT_IN_HOST = /[\t\n\r #/:<>?@[\\\]^|]/;

export const encodeProtocol: Encode = unlessEmpty((text) => {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(text)) throw wrong("protocol", text);
  return text.toLowerCase();
});

export const encodeUsername: Encode = unlessEmpty((text) => {
  const url = new URL(PLAIN);
  url.username = text;
  return url.username;
});

export const encodePassword: Encode = unlessEmpty((text) => {
  const url = new URL(PLAIN);
  url.password = text;
  return url.password;
});

/** A domain name, of http and the like. */
export const encodeDomain: Encode = unlessEmpty((text) => encodeHost(text, "https:"));

/** A host of any other scheme. */
export const encodeOpaqueHost: Encode = unlessEmpty((text) => encodeHost(text, "m2push:"));

export const encodeAddress: Encode = unlessEmpty((text) => {
  if (/[^0-9A-Fa-f[\]:]/.test(text)) throw wrong("IPv6 address", text);
  return text.toLowerCase();
});

export const encodePort: Encode = unlessEmpty((text) => {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > 65_535) throw wrong("port", text);
  return String(Number(text));
});

/** A piece of a path need not begin with a slash: it gets one, and what keeps a dot from being taken for "here". */
export const encodePath: Encode = unlessEmpty((text) => {
  const url = new URL(PLAIN);
  const isWhole = text.startsWith("/");
  url.pathname = isWhole ? text : `/-${text}`;
  return isWhole ? url.pathname : url.pathname.slice(2);
});

/** The path of a scheme such as `urn:`, where slashes mean nothing; not even two at its beginning, behind something else. */
export const encodeOpaquePath: Encode = unlessEmpty((text) => new URL(`data:-${text}`).pathname.slice(1));

export const encodeSearch: Encode = unlessEmpty((text) => {
  const url = new URL(PLAIN);
  url.search = `?${text}`;
  return url.search.slice(1);
});

export const encodeHash: Encode = unlessEmpty((text) => {
  const url = new URL(PLAIN);
  url.hash = `#${text}`;
  return url.hash.slice(1);
});

function unlessEmpty(encode: Encode): Encode {
  return (text) => (text === "" ? "" : encode(text));
}

function encodeHost(text: string, scheme: string): string {
  if (text.length > MAX_HOST_CHARACTERS) {
    throw new ProtocolError("too_large", `a host name of more than ${MAX_HOST_CHARACTERS} characters`);
  }
  if (NOT_IN_HOST.test(text)) throw wrong("host name", text);
  try {
    return new URL(`${scheme}//${text}`).hostname;
  } catch (cause) {
    throw wrong("host name", text, cause);
  }
}

function wrong(what: string, text: string, cause?: unknown): ProtocolError {
  return new ProtocolError("invalid", `"${text}" cannot be in a ${what}`, { cause });
}
