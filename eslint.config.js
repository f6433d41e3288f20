/** The rules that need types; every other rule is biome's (biome.json). */
import tseslint from "typescript-eslint";

/** Functions of node:test return promises that the runner awaits. */
const TEST_FUNCTIONS = { from: "package", package: "node:test", name: ["test", "describe", "suite", "it"] };

export default tseslint.config({
  files: ["{src,test,bench,packaging}/**/*.ts"],
  languageOptions: {
    parser: tseslint.parser,
    parserOptions: { project: "./tsconfig.json", tsconfigRootDir: import.meta.dirname },
  },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  plugins: { "@typescript-eslint": tseslint.plugin },
  rules: {
    "@typescript-eslint/no-floating-promises": ["error", { allowForKnownSafeCalls: [TEST_FUNCTIONS] }],
    "@typescript-eslint/no-misused-promises": "error",
    "@typescript-eslint/switch-exhaustiveness-check": "error",
  },
});
