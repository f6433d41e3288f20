/** Keys as text: reads a PEM block, and recognizes public keys in other forms. */
import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { keyError, publicKey, type VerificationKey } from "./verification-key.js";

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;
/** The tag of a SEQUENCE, the first byte of every key and certificate in DER. */
const DER_SEQUENCE_TAG = 0x30;

/**
 * Reads the one public key, or the key of the one certificate, in the text. Several blocks are an error: in a certificate chain only the
 * first is the signer, and the others would become trusted by accident. Dates and issuer of a certificate are not checked. Line breaks
 * may be written as `\n`, as in environment variables.
 */
export function readPem(text: string): VerificationKey {
  const lines = text.includes("\n") ? text : text.replaceAll("\\n", "\n");
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(lines)) {
    throw keyError(
      "expected a public key, got a private one; fix: give its public half (openssl pkey -in KEY -pubout)",
    );
  }
  const blocks = [...lines.matchAll(PEM_BLOCK)].map(([block, label = ""]) => ({ block, label }));
  const [first, ...others] = blocks;
  if (first === undefined) throw keyError("expected a whole PEM block, from its BEGIN line to its END line");
  if (others.length > 0)
    throw keyError(`expected one PEM block, got ${blocks.length}; fix: put several keys into a JWKS file`);
  return publicKey(readBlock(first.block, first.label));
}

function readBlock(block: string, label: string): KeyObject {
  const isCertificate = label === "CERTIFICATE";
  if (!isCertificate && label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY") {
    throw keyError(`expected a PUBLIC KEY or a CERTIFICATE, got a PEM block of ${label}`);
  }
  try {
    return isCertificate ? new X509Certificate(block).publicKey : createPublicKey(block);
  } catch (cause) {
    throw keyError(`expected a valid PEM block, got a broken ${label}`, cause);
  }
}

/**
 * Whether the text is a public key in a form that is not supported: malformed PEM, OpenSSH, or the bare base64 of a PEM block. A public
 * key is known to everyone, so that as an HMAC secret it would let everyone sign.
 */
export function isPublicKeyText(text: string): boolean {
  return /-{4,}\s*BEGIN\b/i.test(text) || /^\s*(?:ssh-|sk-ssh-|ecdsa-sha2-|sk-ecdsa-)/.test(text) || isBareKey(text);
}

function isBareKey(text: string): boolean {
  if (!/^[A-Za-z0-9+/_\s-]+=*\s*$/.test(text)) return false;
  const der = Buffer.from(text, "base64");
  const forms = [
    () => createPublicKey({ key: der, format: "der", type: "spki" }),
    () => createPublicKey({ key: der, format: "der", type: "pkcs1" }),
    () => new X509Certificate(der),
  ];
  return der[0] === DER_SEQUENCE_TAG && forms.some(succeeds);
}

function succeeds(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
