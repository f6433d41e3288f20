/** Prints a page that is generated from the program: `node build/packaging/pages/main.js configuration|schema|man`. */

import { fullProgram } from "../../src/cli/commands.js";
import { shapeOf } from "../../src/cli/completion/program-shape.js";
import { schemaText } from "../../src/cli/config-command.js";
import { packageVersion } from "../../src/util/package-version.js";
import { configurationPage } from "./configuration-page.js";
import { manPage } from "./man-page.js";

const PAGES: Readonly<Record<string, () => string>> = {
  /** docs/configuration.md */
  configuration: configurationPage,
  /** config/m2push.schema.json */
  schema: schemaText,
  /** m2push(1) */
  man: () => manPage(shapeOf(fullProgram()), packageVersion()),
};

const name = process.argv[2] ?? "";
const page = PAGES[name];
if (page === undefined) throw new TypeError(`expected one of ${Object.keys(PAGES).join(", ")}, got "${name}"`);
process.stdout.write(page());
