/** The dashboard's files from html/. The daemon serves them itself: the dashboard works while Mongrel2 is down. */
import { readFile } from "node:fs/promises";
import { documented } from "../../api-docs/operation.js";
import { type AdminResponse, type DocumentedAdminRoute, textResponse } from "./admin-response.js";
import { pageDocs } from "./operation-docs.js";

const FILES: readonly (readonly [path: string, file: string, type: string])[] = [
  ["/", "dashboard.html", "text/html; charset=utf-8"],
  ["/dashboard.js", "dashboard.js", "text/javascript; charset=utf-8"],
  ["/dashboard-samples.js", "dashboard-samples.js", "text/javascript; charset=utf-8"],
  ["/dashboard-tables.js", "dashboard-tables.js", "text/javascript; charset=utf-8"],
  ["/chart.js", "chart.js", "text/javascript; charset=utf-8"],
  ["/style.css", "style.css", "text/css; charset=utf-8"],
  ["/chart.css", "chart.css", "text/css; charset=utf-8"],
  ["/dashboard.css", "dashboard.css", "text/css; charset=utf-8"],
];
/** Nothing from other origins, nothing inline, no frames. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";
/** How the page learns whether it has a stream: the file has "none", which a plain file server leaves. */
const WITHOUT_STREAM = 'data-feed="none"';

/** `needsToken`: the page asks for a token before it opens the stream. The page itself has no figures and needs none. */
export function pageRoutes(needsToken: boolean): [path: string, route: DocumentedAdminRoute][] {
  const attribute = `data-feed="${needsToken ? "token" : "open"}"`;
  return FILES.map(([path, file, type]) => [
    path,
    { GET: documented(pageDocs(file, type), () => page(file, type, attribute)) },
  ]);
}

async function page(file: string, type: string, attribute: string): Promise<AdminResponse> {
  const body = await find(file);
  if (body === undefined) return textResponse(404, `html/${file} is missing in the installation of m2push`);
  return {
    status: 200,
    type,
    body: body.replace(WITHOUT_STREAM, attribute),
    headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY },
  };
}

/** html/ is above the compiled files (dist/, or build/src/ in tests); a system package has it below share/. */
async function find(file: string): Promise<string | undefined> {
  for (let folder = new URL("../", import.meta.url); ; folder = new URL("../", folder)) {
    for (const name of [`html/${file}`, `share/m2push/html/${file}`]) {
      const text = await readFile(new URL(name, folder), "utf8").catch(() => undefined);
      if (text !== undefined) return text;
    }
    if (folder.pathname === "/") return undefined;
  }
}
