/** Keys as text: a PEM block, and the text that only looks like a secret. */
import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { publicKey, unusable, type VerificationKey } from "./verification-key.js";

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[^-]*-----END \1-----/g;
/** What every key and certificate begins with in DER. */
const DER_SEQUENCE = 0x30;

/**
 * The one public key, or the key of the one certificate, in the text. Not two: of a certificate's chain only the first is the
 * signer, the others would become trusted by accident. A certificate's dates and issuer are not looked at. Line breaks may be
 * written as `\n`, as they are in environment variables.
 */
export function readPem(text: string): VerificationKey {
  const lines = text.includes("\n") ? text : text.replaceAll("\\n", "\n");
  if (/-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/.test(lines)) {
    throw unusable("expected a public key, got a private one; give its public half (openssl pkey -in KEY -pubout)");
  }
  const blocks = [...lines.matchAll(BLOCK)].map(([block, label = ""]) => ({ block, label }));
  const [first, ...others] = blocks;
  if (first === undefined) throw unusable("expected a whole PEM block, from its BEGIN line to its END line");
  if (others.length > 0)
    throw unusable(`expected one PEM block, got ${blocks.length}; put several keys into a JWKS file`);
  return publicKey(readBlock(first.block, first.label));
}

function readBlock(block: string, label: string): KeyObject {
  const isCertificate = label === "CERTIFICATE";
  if (!isCertificate && label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY") {
    throw unusable(`expected a PUBLIC KEY or a CERTIFICATE, got a PEM block of ${label}`);
  }
  try {
    return isCertificate ? new X509Certificate(block).publicKey : createPublicKey(block);
  } catch (cause) {
    throw unusable(`expected a PEM block that can be read, got a broken ${label}`, cause);
  }
}

/**
 * Whether the text is a public key in some other form: PEM in disguise, OpenSSH, or the bare base64 of a PEM block. Everybody
 * may know it, so as a secret it would let everybody sign.
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
  return der[0] === DER_SEQUENCE && forms.some(succeeds);
}

function succeeds(run: () => unknown): boolean {
  try {
    run();
    return true;
  } catch {
    return false;
  }
}
