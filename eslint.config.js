/**
 * The rules that need types, for the sources; every other rule is biome's (biome.json), which also looks for floating promises in
 * the tests, where typescript-eslint would take a minute.
 */
import tseslint from "typescript-eslint";

export default tseslint.config({
  files: ["{src,client,packaging}/**/*.ts"],
  languageOptions: {
    parser: tseslint.parser,
    parserOptions: { project: ["./tsconfig.json", "./client/tsconfig.json"], tsconfigRootDir: import.meta.dirname },
  },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  plugins: { "@typescript-eslint": tseslint.plugin },
  rules: {
    "@typescript-eslint/no-floating-promises": "error",
    "@typescript-eslint/no-misused-promises": "error",
    // A default case is a decision about every other case; without one each case must be there.
    "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
  },
});
