/** Routes by path: exact ones, and patterns such as "/clients/{server}/{id}", where each `{name}` is one segment. */

export interface MatchedPath<Route> {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export class Paths<Route> {
  readonly #exact = new Map<string, Route>();
  readonly #patterns: { readonly segments: readonly string[]; readonly route: Route }[] = [];

  constructor(routes: Iterable<readonly [path: string, route: Route]>) {
    for (const [path, route] of routes) {
      if (path.includes("{")) this.#patterns.push({ segments: path.split("/"), route });
      else this.#exact.set(path, route);
    }
  }

  /** Undefined when no route has this path, or a segment is not percent-encoded UTF-8. */
  find(path: string): MatchedPath<Route> | undefined {
    const exact = this.#exact.get(path);
    if (exact) return { route: exact, params: {} };
    const segments = path.split("/");
    for (const pattern of this.#patterns) {
      const params = match(pattern.segments, segments);
      if (params) return { route: pattern.route, params };
    }
    return undefined;
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [at, wanted] of pattern.entries()) {
    const segment = segments[at] ?? "";
    const [, name] = /^\{(\w+)\}$/.exec(wanted) ?? [];
    if (name === undefined ? segment !== wanted : segment === "") return undefined;
    const value = decoded(segment);
    if (value === undefined) return undefined;
    if (name !== undefined) params[name] = value;
  }
  return params;
}

function decoded(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
