/** Prints what is made from the program: `node dist/cli/pages.js PAGE`. Not part of the command line: for builds and tests. */
import { packageVersion } from "../util/package-version.js";
import { fullProgram } from "./commands.js";
import { shapeOf } from "./completion/program-shape.js";
import { SHELLS } from "./completion-command.js";
import { manual } from "./manual.js";
import { reference } from "./reference.js";

/** "configuration": docs/configuration.md. "man": m2push(1). Otherwise a shell's completion script. */
function pageOf(name: string): string {
  if (name === "configuration") return reference();
  const shape = shapeOf(fullProgram());
  if (name === "man") return manual(shape, packageVersion());
  const script = SHELLS[name];
  if (!script) throw new TypeError(`expected configuration, man, ${Object.keys(SHELLS).join(", ")}; got ${name}`);
  return script(shape);
}

process.stdout.write(pageOf(process.argv[2] ?? ""));
