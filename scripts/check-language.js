/**
 * Reports words of the former private language and numeric constants without a unit (scripts/language-rules.js).
 * Part of `npm run lint`; with files as arguments it reads only those (`--root DIR`: below another folder). Exits 1 where it finds any.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import ts from "typescript";
import { ALLOWED, CODES, DECLARED_NAMES, NAME_PARTS, PHRASES, UNITLESS, UNITS, WORDS } from "./language-rules.js";

const ROOT = join(dirname(fileURLToPath(import.meta.url)), "..");
const READ = ["src", "client", "test", "bench", "html", "config", "packaging", "docs", "README.md", "CONTRIBUTING.md"];
/** Recorded bytes and figures, not texts of the project; generated pages; and the test of this check, which has the words. */
const EXCLUDED = /^(?:test\/fixtures|bench\/results|docs\/api)\/|^test\/architecture\/language\.test\.ts$/;
const TEXT = /\.(?:ts|js|html|css|md|toml|conf|json|yml|sh|c|service|in)$|\/(?:postinst|postrm|prerm|logrotate)$/;

/** The word at the beginning of an identifier or alone, within camelCase, or within UPPER_CASE; not within another word. */
function wordPattern(words) {
  const any = words.join("|");
  const capitalised = words.map((word) => word[0].toUpperCase() + word.slice(1)).join("|");
  const upper = any.toUpperCase();
  return new RegExp(
    `(?<![A-Za-z])(?:${any})(?![a-z])|(?<![A-Z])(?:${capitalised})(?![a-z])|(?<![A-Za-z])(?:${upper})(?![A-Za-z])`,
    "g",
  );
}

const WORD = wordPattern(WORDS);
const NAME_PART = wordPattern(NAME_PARTS);

/** What is wrong in one file: `path:line: what`. */
export function languageFindings(path, text) {
  const found = text
    .split("\n")
    .flatMap((line, at) => wordsOf(path, line).map((word) => `${path}:${at + 1}: "${word}"`));
  return /^(?:src|client)\//.test(path) ? [...found, ...nameFindings(path, text)] : found;
}

function wordsOf(path, line) {
  const words = [...line.matchAll(WORD)].map(([word]) => word);
  const phrases = PHRASES.flatMap((phrase) => phrase.exec(line)?.[0] ?? []);
  return [...words, ...phrases].filter(
    (found) => !ALLOWED.some((it) => it.word.test(found) && it.line.test(line) && (it.path?.test(path) ?? true)),
  );
}

function nameFindings(path, text) {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const found = [];
  const report = (node, what) => {
    found.push(`${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}: ${what}`);
  };
  const visit = (node) => {
    if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node))
      for (const [part] of node.text.matchAll(NAME_PART)) report(node, `"${part}" in the name ${node.text}`);
    if (isNamedDeclaration(node) && DECLARED_NAMES.includes(node.name.text)) report(node, `declares ${node.name.text}`);
    if (isConstant(node) && !hasUnit(node.name.text)) report(node, `${node.name.text} has no unit`);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

function isNamedDeclaration(node) {
  const declares =
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isFunctionDeclaration(node);
  return declares && node.name !== undefined;
}

/** A constant of a module or a static member, in upper case, whose value is a number. */
function isConstant(node) {
  const isOfModule =
    ts.isVariableDeclaration(node) &&
    ts.isVariableStatement(node.parent.parent) &&
    ts.isSourceFile(node.parent.parent.parent);
  if (!isOfModule && !ts.isPropertyDeclaration(node)) return false;
  return ts.isIdentifier(node.name) && /^[A-Z][A-Z0-9_]*$/.test(node.name.text) && isNumeric(node.initializer);
}

/** Whether an expression is one of numbers, as its text shows: literals, arithmetic, Math. */
function isNumeric(node) {
  if (!node) return false;
  if (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node)) return true;
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node)) return isNumeric(node.expression);
  if (ts.isPrefixUnaryExpression(node)) return isNumeric(node.operand);
  if (ts.isCallExpression(node)) return node.expression.getText().startsWith("Math.");
  if (!ts.isBinaryExpression(node)) return false;
  const isSum = node.operatorToken.kind === ts.SyntaxKind.PlusToken;
  const isArithmetic = /^(?:[-*/%&|^]|\*\*|<<|>>>?)$/.test(node.operatorToken.getText());
  return isArithmetic || (isSum && (isNumeric(node.left) || isNumeric(node.right)));
}

function hasUnit(name) {
  const last = name.split("_").at(-1);
  return UNITS.includes(last) || CODES.includes(last) || Object.hasOwn(UNITLESS, name);
}

/** Whether the check reads a file of the repository. */
export function isRead(path) {
  return READ.some((name) => path === name || path.startsWith(`${name}/`)) && TEXT.test(path) && !EXCLUDED.test(path);
}

function languageFiles() {
  return READ.flatMap((name) => {
    const path = join(ROOT, name);
    if (!statSync(path).isDirectory()) return [name];
    const inside = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return inside.map((entry) => relative(ROOT, join(entry.parentPath, entry.name)));
  }).filter(isRead);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { root: { type: "string", default: ROOT } },
  });
  const paths = positionals.length > 0 ? positionals : languageFiles();
  const found = paths.flatMap((path) => languageFindings(path, readFileSync(join(values.root, path), "utf8")));
  for (const finding of found) console.log(finding);
  if (found.length > 0) console.error(`${found.length} findings; scripts/language-rules.js has the rules`);
  process.exitCode = found.length > 0 ? 1 : 0;
}
