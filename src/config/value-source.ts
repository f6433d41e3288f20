/** Where a value came from. A line is undefined only where the scan of the file did not find the key. */
export type ValueSource =
  | { readonly from: "default" }
  | { readonly from: "file"; readonly file: string; readonly line: number | undefined }
  | { readonly from: "environment"; readonly variable: string }
  | { readonly from: "flag"; readonly flag: string };

/** "default", "m2push.toml:12", "M2PUSH_LOG_LEVEL" or "--log-level". */
export function sourceText(source: ValueSource): string {
  if (source.from === "default") return "default";
  if (source.from === "environment") return source.variable;
  if (source.from === "flag") return source.flag;
  return source.line === undefined ? source.file : `${source.file}:${source.line}`;
}
