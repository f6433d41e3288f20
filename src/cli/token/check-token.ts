/** `m2push token check`: what the verifiers of the daemon say of a token, and which of its grants selects a topic. */
import { M2pushError } from "../../errors.js";
import { hubUrl } from "../../http/app.js";
import type { Grants } from "../../http/auth/grants.js";
import type { VerifiedToken } from "../../http/auth/verifier.js";
import { createVerifiers } from "../../http/auth/verifiers.js";
import { claimedIssuer } from "../../http/auth/verify-signature.js";
import { covers, type Selector, wordsOf } from "../../matching/selector.js";
import { printableLine } from "../../util/escape.js";
import { type TokenContext, withIssuers } from "./load-issuers.js";

/** Resolves with lines for the operator; rejects with them where the token is refused, or does not grant the topic in either role. */
export function checkToken(token: string, topic: string | undefined, context: TokenContext): Promise<string> {
  const { config, clock } = context;
  const { subscriber_key: subscriberKey } = config.auth;
  const base = hubUrl(config);
  return withIssuers(context, claimedIssuer(token), async (issuers) => {
    const { publishers, subscribers } = createVerifiers(config, { clock, base, issuers, warn: () => {} });
    const roles: readonly Role[] = [
      {
        name: "publish",
        verified: await publishers.verify(token),
        setting: "auth.publisher_key",
        otherwise: "no (403): no grant selects it",
      },
      {
        name: "subscribe",
        verified: await subscribers.verify(token),
        setting: subscriberKey === "" ? "auth.publisher_key" : "auth.subscriber_key",
        otherwise: "public events only: no grant selects it",
      },
    ];
    const results = roles.map((role) => describeRole(role, topic, base));
    const text = results.map(({ lines }) => lines.map((line) => `${printableLine(line)}\n`).join("")).join("");
    if (!results.some(({ isAllowed }) => isAllowed))
      throw new M2pushError("forbidden", `the token is of no use here:\n${text}`.trimEnd());
    return text;
  });
}

interface Role {
  readonly name: "publish" | "subscribe";
  readonly verified: VerifiedToken<Selector>;
  /** The setting whose keys count where no [[issuer]] does. */
  readonly setting: string;
  /** What holds for a topic without a grant. */
  readonly otherwise: string;
}

function describeRole(
  { name, verified, setting, otherwise }: Role,
  topic: string | undefined,
  base: string,
): { readonly isAllowed: boolean; readonly lines: readonly string[] } {
  if (!verified.ok)
    return { isAllowed: false, lines: [`${name}: refused (401): ${verified.reason}; keys: ${setting} and [[issuer]]`] };
  const { grants } = verified;
  const granted = grants[name];
  const lines = [`${name}: accepted, ${describeToken(grants)}`, `${name}: grants ${listOf(granted)}`];
  if (topic === undefined) return { isAllowed: true, lines };
  const grant = granted.find((selector) => covers([selector], [topic], base));
  const answer = grant === undefined ? otherwise : `yes, by the grant ${nameOf(grant)}`;
  return { isAllowed: grant !== undefined, lines: [...lines, `${name} ${JSON.stringify(topic)}: ${answer}`] };
}

function describeToken({ dialect, subject, issuer, expiresAt }: Grants<Selector>): string {
  const parts = [
    dialect === "0.x" ? "a token of Mercure 0.x" : "an access token (draft-08)",
    issuer === undefined ? "without iss" : `iss ${JSON.stringify(issuer)}`,
    subject === undefined ? "without sub" : `sub ${JSON.stringify(subject)}`,
    expiresAt === undefined ? "without exp" : `until ${new Date(expiresAt).toISOString()}`,
  ];
  return parts.join(", ");
}

const listOf = (grants: readonly Selector[]): string =>
  grants.length === 0 ? "nothing" : grants.map(nameOf).join(", ");

const KIND_NAMES = { any: "every topic", exact: "topic", template: "URI template", urlpattern: "URL pattern" } as const;

const nameOf = (selector: Selector): string =>
  selector.kind === "any"
    ? `"*" (${KIND_NAMES.any})`
    : `${JSON.stringify(wordsOf(selector))} (${KIND_NAMES[selector.kind]})`;
