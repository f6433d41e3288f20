/**
 * Looks at an LMDB file before it is opened. LMDB maps the file and trusts it: what is cut short or overwritten would end
 * the process with SIGBUS instead of an error. Both of its first pages hold the magic number and how far the file must reach.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { M2pushError } from "../errors.js";

const PAGE = 4096;
/** Places in a meta page of this LMDB (data version 2): magic, version, last page, transaction. */
const AT = { magic: 24, version: 28, lastPage: 24 + 120, transaction: 24 + 128 };
const MAGIC = 0xbeefc0de;

/** Throws "history.unusable" when the file cannot be one that LMDB wrote. A missing one is fine. */
export function checkFile(file: string): void {
  if (!existsSync(file)) return;
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    if (size === 0) return;
    const pages = [0, PAGE].map((start) => metaPage(descriptor, start));
    const newest =
      pages.every((page) => page?.magic === MAGIC) && pages[0] && pages[1] ? newer(pages[0], pages[1]) : undefined;
    if (!newest || size < (newest.lastPage + 1) * PAGE) {
      throw unusable(file, newest ? `it ends at ${size} bytes, too soon` : "it was overwritten");
    }
  } finally {
    closeSync(descriptor);
  }
}

export function unusable(file: string, why: string, cause?: unknown): M2pushError {
  const mend = "put a copy of it back, or move it away to begin with an empty history";
  return new M2pushError("history.unusable", `${file} cannot be used: ${why}; ${mend}`, { cause });
}

interface Meta {
  readonly magic: number;
  readonly lastPage: number;
  readonly transaction: number;
}

function newer(a: Meta, b: Meta): Meta {
  return a.transaction >= b.transaction ? a : b;
}

function metaPage(descriptor: number, start: number): Meta | undefined {
  const page = Buffer.alloc(AT.transaction + 8);
  if (readSync(descriptor, page, 0, page.length, start) < page.length) return undefined;
  return {
    magic: page.readUInt32LE(AT.magic),
    lastPage: Number(page.readBigUInt64LE(AT.lastPage)),
    transaction: Number(page.readBigUInt64LE(AT.transaction)),
  };
}
