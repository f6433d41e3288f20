/** The documents agree with the program: commands, keys, lines of the doctor and the log, limits and links. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, test } from "node:test";
import { configurationPage } from "../../packaging/pages/configuration-page.js";
import { fullProgram } from "../../src/cli/commands.js";
import { shapeOf } from "../../src/cli/completion/program-shape.js";
import { missingRoutes } from "../../src/cli/doctor/check-routes.js";
import { loadConfig } from "../../src/config/load-config.js";
import { sections, tableArrays } from "../../src/config/schema.js";
import { DISCONNECT_REASONS, GAP_REASONS } from "../../src/delivery/reasons.js";
import { LIMITS } from "../../src/protocol/limits.js";
import { CONDITION_TYPES } from "../../src/util/conditions.js";
import { metrics } from "../observability/metrics/harness.js";
import { PROJECT, temporaryDirectory } from "../support/processes.js";
import { fences, page, pages, quotations, sources } from "./pages.js";

describe("Docs", () => {
  test("docs/configuration.md is what the schema says (npm run docs)", () => {
    assert.equal(page("docs/configuration.md"), configurationPage());
  });

  /** The anchor that GitHub makes of a heading. */
  const anchorOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, "")
      .trim()
      .replace(/\s/g, "-");

  test("every link leads to an existing file and heading", () => {
    const broken = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = ""]) => {
        if (/^https?:/.test(target)) return [];
        const [file = "", anchor] = target.split("#");
        const to = file === "" ? path : normalize(join(dirname(path), file));
        if (!existsSync(join(PROJECT, to))) return [`${path}: ${target}`];
        if (anchor === undefined) return [];
        const headings = [...readFileSync(join(PROJECT, to), "utf8").matchAll(/^#+ (.*)$/gm)];
        return headings.some(([, heading = ""]) => anchorOf(heading) === anchor) ? [] : [`${path}: ${target}`];
      }),
    );
    assert.deepEqual(broken, []);
  });

  /** Commands in shell blocks and between backticks. */
  function commandLines(): { path: string; line: string }[] {
    return pages.flatMap((it) => {
      const blocks = fences(it).filter(({ language }) => language === "sh" || language === "");
      const lines = [...blocks.flatMap(({ text }) => text.split("\n")), ...quotations(it)];
      return lines.flatMap((line) =>
        [...line.replace(/ #.*/, "").matchAll(/(?:^|npx |\(|; )m2push ([^;|)]+)/g)].map(([, rest = ""]) => ({
          path: it.path,
          line: rest.trim(),
        })),
      );
    });
  }

  test("every m2push command in the documents exists, with every option", () => {
    const { commands, options } = shapeOf(fullProgram());
    const wrong = commandLines().flatMap(({ path, line }) => {
      const [name, ...words] = line.split(/\s+/);
      if (options.some(({ long }) => long === name)) return [];
      const command = commands.find((it) => it.name === name);
      if (!command) return [`${path}: m2push ${line}`];
      const flags = words.flatMap((word) => /^\[?(--?[a-z][\w-]*)/.exec(word)?.[1] ?? []);
      const known = new Set(command.options.flatMap(({ short, long }) => [short, long]));
      return flags.filter((flag) => !known.has(flag)).map((flag) => `${path}: m2push ${name} ${flag}`);
    });
    assert.deepEqual(wrong, []);
    assert.ok(commandLines().length > 15);
  });

  test("every script of npm that is named exists", () => {
    const { scripts } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
    const named = pages.flatMap(({ text }) => [...text.matchAll(/\bnpm run ([\w:]+)/g)].map(([, name = ""]) => name));
    assert.deepEqual(
      named.filter((name) => !Object.hasOwn(scripts, name)),
      [],
    );
  });

  test("every key that is named with its table exists", () => {
    const known = (section: string, key: string) => Object.hasOwn({ ...sections, ...tableArrays }[section] ?? {}, key);
    // Decisions also name keys of later versions.
    const current = pages.filter(({ path }) => !path.startsWith("docs/decisions/"));
    const wrong = current.flatMap((it) =>
      quotations(it).flatMap((quoted) => {
        const [, section, key] = /^\[{1,2}(\w+)\]{1,2} (\w+)/.exec(quoted) ?? [];
        return section === undefined || key === undefined || known(section, key) ? [] : [`${it.path}: ${quoted}`];
      }),
    );
    assert.deepEqual(wrong, []);
  });

  test("every configuration in the documents loads", () => {
    const folder = temporaryDirectory();
    const blocks = pages.flatMap(fences).filter(({ language }) => language === "toml");
    assert.ok(blocks.length > 0);
    for (const { text } of blocks) {
      const file = join(folder, "m2push.toml");
      writeFileSync(file, text);
      assert.ok(loadConfig({ file }).config);
    }
  });

  test("the routes of beside-your-mongrel2.md lead every path that is served to the handler", () => {
    const [, block = assert.fail("no routes")] =
      /routes=\{([\s\S]*?)\}/.exec(page("docs/beside-your-mongrel2.md")) ?? [];
    const routes = [...block.matchAll(/'([^']+)': (\w+)/g)].map(([, path = "", target = ""]) => {
      return {
        path,
        hostId: 1,
        targetId: target === "push" ? 1 : 2,
        targetType: target === "push" ? "handler" : "dir",
      };
    });
    const handler = { id: 1, sendSpec: "", sendIdent: "", recvSpec: "", recvIdent: "", protocol: "json" };
    assert.ok(routes.length > 2);
    assert.deepEqual(missingRoutes(loadConfig({ env: {} }).config, handler, routes), []);
  });

  test("every metric that is named is one", async () => {
    const text = await metrics().exposition.text();
    const known = new Set([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name));
    const named = pages.flatMap((it) => quotations(it).flatMap((quoted) => /^m2push_\w+/.exec(quoted)?.[0] ?? []));
    assert.ok(named.length > 3);
    assert.deepEqual(
      named.filter((name) => !known.has(name)),
      [],
    );
  });

  test("troubleshooting.md quotes texts of the doctor, the log and the errors exactly", () => {
    const said = sources("src").replace(/\s+/g, " ");
    const quoted = quotations({ path: "", text: page("docs/troubleshooting.md") });
    const sentences = quoted.filter((text) => text.split(" ").length > 3 && !/^(?:m2push|ulimit) |[={]/.test(text));
    assert.ok(sentences.length > 20);
    const wrong = sentences
      .flatMap((text) => text.split("...").map((part) => part.trim()))
      .filter((part) => !said.includes(part));
    assert.deepEqual(wrong, []);
  });

  test("every event of the log that reference.md lists, and every reason, exists", () => {
    const observers =
      sources("src/observability/log") +
      sources("src/cli") +
      sources("src/daemon") +
      readFileSync(join(PROJECT, "src/daemon.ts"), "utf8");
    const text = page("docs/reference.md");
    const list = /Filter by `event`:([\s\S]*?)\.\s+Events/.exec(text)?.[1] ?? assert.fail("no list");
    const events = [...list.matchAll(/`([a-z_]+)`/g)].flatMap(([, name = ""]) =>
      /^(reason|seconds)$/.test(name) ? [] : [name],
    );
    assert.ok(events.length > 8);
    assert.deepEqual(
      events.filter((name) => !observers.includes(`event: "${name}"`) && !observers.includes(`event = "${name}"`)),
      [],
    );
    const reasons = /^Reasons of a `disconnect`:([\s\S]*?)\n(?:\n|$)/m.exec(text)?.[1] ?? assert.fail("no reasons");
    const named = [...reasons.matchAll(/`([a-z ]+)` \(/g)].map(([, reason = ""]) => reason);
    assert.deepEqual(named, DISCONNECT_REASONS);
  });

  test("operating.md has a row for each condition, with what /readyz answers and the level of its log line", () => {
    const [, section = assert.fail("no section")] = page("docs/operating.md").split("## Conditions");
    const rows = [...section.matchAll(/^\| `(\w+)` \| (\d+) \| (\w+) \|/gm)].map(([, ...cells]) => cells);
    const levels = new Map(
      [...sources("src").matchAll(/code: "(\w+)",[^{}]*(?:\{[^{}]*\}[^{}]*)*?\blevel: "(\w+)"/g)].map(
        ([, code, level]) => [code, level],
      ),
    );
    assert.equal(levels.get("adoption_undecided"), "info");
    const expected = Object.entries(CONDITION_TYPES).map(([code, { blocksReadiness }]) =>
      blocksReadiness ? [code, "503", levels.get(code) ?? "error"] : [code, "200", levels.get(code) ?? "warn"],
    );
    assert.deepEqual(rows, expected);
  });

  test("troubleshooting.md names every reason of a gap", () => {
    const reasons = [
      ...page("docs/troubleshooting.md").matchAll(/^\| `(expired|overload|presence|latest|un\w+)` \|/gm),
    ].map(([, name]) => name);
    assert.deepEqual(reasons, GAP_REASONS);
  });

  test("the limits in threat-model.md are those of the code", () => {
    const rows = [...page("docs/threat-model.md").matchAll(/^\|[^|]+\|[^|]+\|([^|]+)\| `(src\/[^`]+)` (\w+) \|$/gm)];
    assert.ok(rows.length > 20);
    for (const [row, limit = "", path = "", name = ""] of rows) {
      const stated = Number(/(\d+)/.exec(limit)?.[1]);
      const defined = new RegExp(`^const ${name} = ([\\d_]+);|^export const ${name} = ([\\d_]+);`, "m");
      const [, own, exported] = defined.exec(readFileSync(join(PROJECT, path), "utf8")) ?? [];
      const actual = path.endsWith("/limits.ts")
        ? LIMITS[name as keyof typeof LIMITS]
        : Number((own ?? exported)?.replaceAll("_", ""));
      assert.equal(stated, actual, row);
    }
  });

  test("threat-model.md has every limit of the protocol that a stranger can reach", () => {
    const text = page("docs/threat-model.md");
    const inside = ["madeIdBytes", "retryMs", "ttlMs", "senderBytes"];
    const missing = Object.keys(LIMITS).filter(
      (name) => !inside.includes(name) && !text.includes(`limits.ts\` ${name} |`),
    );
    assert.deepEqual(missing, []);
  });

  test("properties.md has P1 to P13, each with test files that exist", () => {
    const rows = [...page("docs/architecture/properties.md").matchAll(/^\| (P\d+) \|[^|]+\|([^|]+)\|$/gm)];
    const names = rows.map(([, name]) => name);
    assert.deepEqual(
      names,
      Array.from({ length: 13 }, (_, at) => `P${at + 1}`),
    );
    for (const [row, , cell = ""] of rows) {
      const files = [...cell.matchAll(/`(test\/[^`]+)`/g)].map(([, file = ""]) => file);
      assert.ok(files.length > 0, row);
      assert.deepEqual(
        files.filter((file) => !existsSync(join(PROJECT, file))),
        [],
      );
    }
  });
});
