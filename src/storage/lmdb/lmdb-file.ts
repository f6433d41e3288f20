/**
 * Checks an LMDB file before it is opened. LMDB maps the file and trusts every number in it: of 100 files with one damaged page
 * each, 23 ended the process with SIGSEGV or SIGABRT, at the start or at a later write. So this check walks LMDB's trees first, by
 * page numbers and sizes alone; the records are checked by their owner. A child process that reads the file with LMDB was tried
 * instead: docs/decisions/0032-the-lmdb-file-check-stays-in-the-process.md.
 *
 * The layout is that of the LMDB that comes with the lmdb package (data version 2), numbers little-endian:
 *
 *   page   number u64 | transaction u64 | u16 | kind u16 | lower u16, upper u16 (or u32: how many pages an overflow has)
 *          | offsets of nodes, u16 each ... free ... nodes; lower, upper and offsets count from behind the header
 *   node   in a branch: number of the child, 48 bits | size of the key u16 | key
 *          in a leaf: size of the data u32 | flags u16 | size of the key u16 | key | data, or the address of its overflow:
 *          number u64 | transaction u64 | pages u64
 *   tree   u32 (page size, in the tree of free pages) | flags u16 | depth u16 | 4 x u64 | number of the root u64
 *   meta   (in pages 0 and 1; the newer one holds) magic u32 | version u32 | 2 x u64 | tree of free pages | tree of trees
 *          | last page u64 | transaction u64
 *
 * The tree of free pages holds lists: length n u64, n x i64, where 0 is nothing, and -k, p are k pages from p on.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

const MAGIC = 0xbeefc0de;
const VERSION = 2;
const PAGE_HEADER_BYTES = 24;
const META_BYTES = PAGE_HEADER_BYTES + 136;
const NODE_HEADER_BYTES = 8;
const TREE_BYTES = 48;
/** The root of an empty tree. */
const NO_PAGE_ID = 0xffff_ffff_ffff_ffffn;
/** Deepest tree that LMDB supports. */
const MAX_DEPTH = 32;

const PAGE_TYPE = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;
/** The bits of a page's type that are stored in a file. */
const PAGE_TYPE_MASK = 0x6f;
/** Flags of a leaf's node. */
const OVERFLOW_FLAG = 0x01;
const TREE_FLAG = 0x02;
/** Flags of trees: keys of the tree of free pages are numbers; other trees have none. */
const INTEGER_KEYS_FLAG = 0x08;
/** The other bits of the tree of free pages record how the file was last opened. */
const TREE_FLAGS_MASK = 0xff;

/** Describes the damage of a file; undefined for one that LMDB may open, and for an empty or missing one. */
export function findFileDamage(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size > 0) new FileWalk(file, size).walk();
    return undefined;
  } catch (error) {
    if (error instanceof FileDamage) return error.message;
    // An offset beyond its page.
    if (error instanceof RangeError) return "it was overwritten";
    throw error;
  } finally {
    closeSync(file);
  }
}

class FileDamage extends Error {}

interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly root: bigint;
}

interface Meta {
  readonly pageSize: number;
  readonly free: Tree;
  readonly trees: Tree;
  readonly transaction: bigint;
}

/** Called for each node of a leaf. */
type VisitLeaf = (flags: number, data: () => Buffer) => void;

class FileWalk {
  readonly #file: number;
  readonly #size: number;
  readonly #meta: Meta;
  /** For each page of the file: 1 = a tree uses it. */
  readonly #usedPages: Uint8Array;
  /** A buffer for each level of the tree. */
  readonly #pageBuffers: Buffer[] = [];

  constructor(file: number, size: number) {
    this.#file = file;
    this.#size = size;
    const first = this.#readMeta(0);
    const second = this.#readMeta(first.pageSize);
    this.#meta = second.transaction > first.transaction ? second : first;
    this.#usedPages = new Uint8Array(Math.floor(size / this.#meta.pageSize)).fill(1, 0, 2);
  }

  walk(): void {
    const trees: Tree[] = [];
    const lists: Buffer[] = [];
    this.#walkTree(this.#meta.trees, 0, (flags, data) => {
      if (flags & TREE_FLAG) trees.push(readTree(data(), 0));
    });
    for (const tree of trees) this.#walkTree(tree, 0, () => {});
    this.#walkTree(this.#meta.free, INTEGER_KEYS_FLAG, (_, data) => lists.push(data()));
    for (const list of lists) this.#checkFreeList(list);
  }

  #readMeta(start: number): Meta {
    const page = Buffer.alloc(META_BYTES);
    this.#read(page, start);
    if (page.readUInt32LE(PAGE_HEADER_BYTES) !== MAGIC || pageTypeOf(page) !== PAGE_TYPE.meta)
      throw new FileDamage("it was overwritten");
    const version = page.readUInt16LE(PAGE_HEADER_BYTES + 4);
    if (version !== VERSION) throw new FileDamage(`its format is ${version}, not ${VERSION}`);
    const pageSize = page.readUInt32LE(PAGE_HEADER_BYTES + 24);
    if (pageSize < 512 || pageSize > 65_536 || pageSize & (pageSize - 1)) throw new FileDamage("it was overwritten");
    const [free, trees] = [readTree(page, PAGE_HEADER_BYTES + 24), readTree(page, PAGE_HEADER_BYTES + 24 + TREE_BYTES)];
    return { pageSize, free, trees, transaction: page.readBigUInt64LE(PAGE_HEADER_BYTES + 128) };
  }

  #walkTree({ flags, depth, root }: Tree, expected: number, visitLeaf: VisitLeaf): void {
    if ((flags & TREE_FLAGS_MASK) !== expected || depth > MAX_DEPTH)
      throw new FileDamage("a tree of it was overwritten");
    if (root !== NO_PAGE_ID) this.#walkPage(Number(root), depth, visitLeaf);
  }

  #walkPage(number: number, level: number, visitLeaf: VisitLeaf): void {
    const page = this.#readPage(number, level, level > 1 ? PAGE_TYPE.branch : PAGE_TYPE.leaf);
    const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)];
    if (lower % 2 !== 0 || lower > upper || PAGE_HEADER_BYTES + upper > page.length) throw damagedPage(number);
    for (let place = PAGE_HEADER_BYTES; place < PAGE_HEADER_BYTES + lower; place += 2) {
      const node = PAGE_HEADER_BYTES + page.readUInt16LE(place);
      const key = node + NODE_HEADER_BYTES + page.readUInt16LE(node + 6);
      if (node < PAGE_HEADER_BYTES + upper || key > page.length) throw damagedPage(number);
      if (level > 1) this.#walkPage(page.readUIntLE(node, 6), level - 1, visitLeaf);
      else this.#checkLeafNode(page, node, key, visitLeaf);
    }
  }

  #checkLeafNode(page: Buffer, node: number, start: number, visitLeaf: VisitLeaf): void {
    const [size, flags] = [page.readUInt32LE(node), page.readUInt16LE(node + 4)];
    if (flags & OVERFLOW_FLAG) {
      const number = Number(page.readBigUInt64LE(start));
      this.#checkOverflow(number, size);
      visitLeaf(flags, () => this.#read(Buffer.alloc(size), number * this.#meta.pageSize + PAGE_HEADER_BYTES));
    } else {
      if (start + size > page.length) throw new FileDamage("a record of it is too long for its page");
      visitLeaf(flags, () => Buffer.from(page.subarray(start, start + size)));
    }
  }

  #checkOverflow(number: number, size: number): void {
    const head = this.#readPage(number, 0, PAGE_TYPE.overflow);
    const pages = head.readUInt32LE(20);
    if (pages !== Math.ceil((PAGE_HEADER_BYTES + size) / this.#meta.pageSize)) throw damagedPage(number);
    for (let next = number + 1; next < number + pages; next++) this.#markUsed(next);
  }

  /** Reads a page of a tree into the buffer of its level. */
  #readPage(number: number, level: number, type: number): Buffer {
    const { pageSize } = this.#meta;
    this.#markUsed(number);
    this.#pageBuffers[level] ??= Buffer.alloc(pageSize);
    const page = this.#read(this.#pageBuffers[level], number * pageSize);
    if (page.readBigUInt64LE(0) !== BigInt(number) || pageTypeOf(page) !== type) throw damagedPage(number);
    return page;
  }

  /** Every used page exists, and is used once. */
  #markUsed(number: number): void {
    if (this.#usedPages[number] === undefined) throw new FileDamage(`it ends at ${this.#size} bytes, too soon`);
    if (this.#usedPages[number] === 1) throw new FileDamage(`its page ${number} is used twice`);
    this.#usedPages[number] = 1;
  }

  /** A free page is not used. It need not exist: pages at the end may never have been written. */
  #checkFreeList(list: Buffer): void {
    const length = Number(list.readBigUInt64LE(0));
    for (let entry = 1; entry <= length; entry++) {
      const value = list.readBigInt64LE(8 * entry);
      const first = value < 0 ? Number(list.readBigInt64LE(8 * ++entry)) : Number(value);
      const pages = value < 0 ? -Number(value) : 1;
      const end = Math.min(first + pages, this.#usedPages.length);
      if (value !== 0n && first < 2) throw new FileDamage("its list of free pages was overwritten");
      if (first > 0 && this.#usedPages.subarray(first, end).includes(1))
        throw new FileDamage("a page of it is used and free");
    }
  }

  #read(buffer: Buffer, start: number): Buffer {
    if (readSync(this.#file, buffer, 0, buffer.length, start) < buffer.length) {
      throw new FileDamage(`it ends at ${this.#size} bytes, too soon`);
    }
    return buffer;
  }
}

function readTree(bytes: Buffer, start: number): Tree {
  return {
    flags: bytes.readUInt16LE(start + 4),
    depth: bytes.readUInt16LE(start + 6),
    root: bytes.readBigUInt64LE(start + 40),
  };
}

const pageTypeOf = (page: Buffer): number => page.readUInt16LE(18) & PAGE_TYPE_MASK;

const damagedPage = (page: number): FileDamage => new FileDamage(`its page ${page} is damaged`);
