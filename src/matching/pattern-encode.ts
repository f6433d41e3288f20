/**
 * Encodes the literal text of URL patterns as it is in a parsed URL (URL Pattern Standard, "Canonicalization"): `café` in a path becomes
 * `caf%C3%A9`, a host name lower case. Node's URL does the work: the text is set as a part of a complete URL, and read back.
 */
import { ProtocolError } from "../errors.js";

type Encode = (text: string) => string;

const BASE_URL = "https://m2push.invalid";
/** The longest host name (RFC 1035). With characters beyond ASCII the cost grows with the square of the length: 1,300 took 2 ms. */
const MAX_HOST_CHARACTERS = 253;
/** Characters that end a host, or that the URL Standard forbids in it. */
const NOT_IN_HOST = /[\t\n\r #/:<>?@[\\\]^|]/;

export const encodeProtocol: Encode = unlessEmpty((text) => {
  if (!/^[A-Za-z][A-Za-z0-9+.-]*$/.test(text)) throw wrong("protocol", text);
  return text.toLowerCase();
});

export const encodeUsername: Encode = unlessEmpty((text) => {
  const url = new URL(BASE_URL);
  url.username = text;
  return url.username;
});

export const encodePassword: Encode = unlessEmpty((text) => {
  const url = new URL(BASE_URL);
  url.password = text;
  return url.password;
});

/** A domain name, of http and other special schemes. */
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

/** A piece of a path may lack the first slash: it gets one and a "-", which prevents that a dot is taken for the current directory. */
export const encodePath: Encode = unlessEmpty((text) => {
  const url = new URL(BASE_URL);
  const isWhole = text.startsWith("/");
  url.pathname = isWhole ? text : `/-${text}`;
  return isWhole ? url.pathname : url.pathname.slice(2);
});

/** The path of a scheme such as `urn:`, in which slashes have no meaning; the "-" prevents that two of them start a host. */
export const encodeOpaquePath: Encode = unlessEmpty((text) => new URL(`data:-${text}`).pathname.slice(1));

export const encodeSearch: Encode = unlessEmpty((text) => {
  const url = new URL(BASE_URL);
  url.search = `?${text}`;
  return url.search.slice(1);
});

export const encodeHash: Encode = unlessEmpty((text) => {
  const url = new URL(BASE_URL);
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
