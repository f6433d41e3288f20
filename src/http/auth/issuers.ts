/** The issuers of the [[issuer]] tables, and the sources of their keys, which outlive a reload that leaves their URL unchanged. */
import type { IssuerTable } from "../../config/schema.js";
import type { FetchJwks } from "./fetch-jwks.js";
import { JwksSource, type JwksSourceOptions } from "./jwks-source.js";
import { loadKeys } from "./load-keys.js";
import type { TrustedIssuer } from "./trusted-issuer.js";

export interface IssuersOptions extends Omit<JwksSourceOptions, "name" | "url" | "fetch"> {
  readonly fetch: FetchJwks;
}

/** Issuers that are not in use yet. */
export interface PreparedIssuers {
  /** By `iss`. */
  readonly byIssuer: ReadonlyMap<string, TrustedIssuer>;
  readonly sources: readonly JwksSource[];
}

export class Issuers {
  readonly #options: IssuersOptions;
  #sources: readonly JwksSource[] = [];

  constructor(options: IssuersOptions) {
    this.#options = options;
  }

  /** Whether the keys of all issuers were read once. */
  get isLoaded(): boolean {
    return this.#sources.every((source) => source.isLoaded);
  }

  /** Throws "config_invalid" for keys that are not usable. Reads no URL. */
  prepare(tables: readonly IssuerTable[]): PreparedIssuers {
    const sources: JwksSource[] = [];
    const byIssuer = new Map<string, TrustedIssuer>();
    for (const table of tables) {
      const { issuer = "", name = issuer, jwks_url: url } = table;
      const source = url === "" ? undefined : this.#sourceOf(name, url);
      if (source) sources.push(source);
      byIssuer.set(issuer, source ? withSource(table, source) : this.#withKeys(table, name));
    }
    return { byIssuer, sources };
  }

  /** Uses the prepared issuers: starts their sources, and closes those that are not needed any more. Resolves after the first attempts. */
  async use({ sources }: PreparedIssuers): Promise<void> {
    const before = this.#sources;
    this.#sources = sources;
    for (const source of before) if (!sources.includes(source)) source.close();
    await Promise.all(sources.filter((source) => !before.includes(source)).map((source) => source.start()));
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }

  #sourceOf(name: string, url: string): JwksSource {
    return this.#sources.find((source) => source.url === url) ?? new JwksSource({ ...this.#options, name, url });
  }

  #withKeys({ issuer = "", keys: material, audience: audiences }: IssuerTable, name: string): TrustedIssuer {
    const { keys, warnings } = loadKeys(`issuer.keys (${name})`, material);
    for (const warning of warnings) this.#options.warn(warning);
    return { issuer, audiences, keys, isLoaded: true, refresh: async () => {} };
  }
}

function withSource({ issuer = "", audience: audiences }: IssuerTable, source: JwksSource): TrustedIssuer {
  return {
    issuer,
    audiences,
    get keys() {
      return source.keys;
    },
    get isLoaded() {
      return source.isLoaded;
    },
    refresh: () => source.refresh(),
  };
}
