/** The dashboard's files, as they lie in html/: the daemon serves them itself, so that they are there when Mongrel2 is not. */
import { readFile } from "node:fs/promises";
import { type AdminResponse, type AdminRoute, text } from "./admin-response.js";

const FILES: readonly (readonly [path: string, file: string, type: string])[] = [
  ["/", "dashboard.html", "text/html; charset=utf-8"],
  ["/dashboard.js", "dashboard.js", "text/javascript; charset=utf-8"],
  ["/chart.js", "chart.js", "text/javascript; charset=utf-8"],
  ["/style.css", "style.css", "text/css; charset=utf-8"],
];
/** Nothing from elsewhere, nothing inline, in nobody's frame. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'";
/** How the page learns what it is: in the file it says "none", as nobody feeds it who only serves files. */
const UNFED = 'data-feed="none"';

/** `needsToken`: the page is to ask for one before it asks for the feed. It holds no figures: it is for everybody. */
export function pageRoutes(needsToken: boolean): [path: string, route: AdminRoute][] {
  const fed = `data-feed="${needsToken ? "token" : "open"}"`;
  return FILES.map(([path, file, type]) => [path, { GET: () => page(file, type, fed) }]);
}

async function page(file: string, type: string, fed: string): Promise<AdminResponse> {
  const body = await find(file);
  if (body === undefined) return text(404, `html/${file} is not where m2push is installed`);
  return { status: 200, type, body: body.replace(UNFED, fed), headers: { "Content-Security-Policy": POLICY } };
}

/** html/ stands above the compiled files (dist/admin, or build/src/admin in tests); a system's package has it below share/. */
async function find(file: string): Promise<string | undefined> {
  for (let folder = new URL("../", import.meta.url); ; folder = new URL("../", folder)) {
    for (const name of [`html/${file}`, `share/m2push/html/${file}`]) {
      const text = await readFile(new URL(name, folder), "utf8").catch(() => undefined);
      if (text !== undefined) return text;
    }
    if (folder.pathname === "/") return undefined;
  }
}
