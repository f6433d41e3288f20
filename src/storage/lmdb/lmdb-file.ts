/**
 * Looks at an LMDB file before it is opened. LMDB maps the file and trusts every number in it: of 100 files with one damaged
 * page each, 23 ended the process with SIGSEGV or SIGABRT, at the start or at some later write. So the trees that LMDB will
 * walk are walked here first, by their page numbers and sizes alone (what the records say is for whoever wrote them).
 *
 * The layout is that of the LMDB that comes with the lmdb package (data version 2), numbers little-endian:
 *
 *   page   number u64 | transaction u64 | u16 | kind u16 | lower u16, upper u16 (or u32: how many pages an overflow has)
 *          | places of nodes, u16 each ... free ... nodes; lower, upper and places count from behind the header
 *   node   in a branch: number of the child, 48 bits | size of the key u16 | key
 *          in a leaf: size of the data u32 | flags u16 | size of the key u16 | key | data, or where an overflow with it is:
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
const HEAD = 24;
const META_BYTES = HEAD + 136;
const NODE = 8;
const TREE_BYTES = 48;
/** The root of an empty tree. */
const NO_PAGE = 0xffff_ffff_ffff_ffffn;
/** What LMDB has room for on a way down. */
const DEEPEST = 32;

const KIND = { branch: 0x01, leaf: 0x02, overflow: 0x04, meta: 0x08 } as const;
/** The bits of a page's kind that are kept in a file. */
const KINDS = 0x6f;
/** Flags of a leaf's node. */
const IN_OVERFLOW = 0x01;
const IS_TREE = 0x02;
/** Flags of trees: keys of the tree of free pages are numbers; other trees have none. */
const NUMBER_KEYS = 0x08;
/** The other bits of the tree of free pages are how the file was opened last. */
const TREE_FLAGS = 0xff;

/** Says what is wrong with a file; undefined for one that LMDB may open, and for one that is empty or not there. */
export function findFileDamage(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    if (size > 0) new Walk(file, size).walk();
    return undefined;
  } catch (error) {
    if (error instanceof Flaw) return error.message;
    // A place beyond the page that it was read from.
    if (error instanceof RangeError) return "it was overwritten";
    throw error;
  } finally {
    closeSync(file);
  }
}

class Flaw extends Error {}

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

/** Takes the data of one node of a leaf. */
type Take = (flags: number, data: () => Buffer) => void;

class Walk {
  readonly #file: number;
  readonly #size: number;
  readonly #meta: Meta;
  /** One for each page that is there: whether a tree has it. */
  readonly #used: Uint8Array;
  /** A page for each level of the tree that is being walked. */
  readonly #pages: Buffer[] = [];

  constructor(file: number, size: number) {
    this.#file = file;
    this.#size = size;
    const first = this.#metaAt(0);
    const second = this.#metaAt(first.pageSize);
    this.#meta = second.transaction > first.transaction ? second : first;
    this.#used = new Uint8Array(Math.floor(size / this.#meta.pageSize)).fill(1, 0, 2);
  }

  walk(): void {
    const trees: Tree[] = [];
    const lists: Buffer[] = [];
    this.#tree(this.#meta.trees, 0, (flags, data) => {
      if (flags & IS_TREE) trees.push(treeAt(data(), 0));
    });
    for (const tree of trees) this.#tree(tree, 0, () => {});
    this.#tree(this.#meta.free, NUMBER_KEYS, (_, data) => lists.push(data()));
    for (const list of lists) this.#free(list);
  }

  #metaAt(start: number): Meta {
    const page = Buffer.alloc(META_BYTES);
    this.#read(page, start);
    if (page.readUInt32LE(HEAD) !== MAGIC || kindOf(page) !== KIND.meta) throw new Flaw("it was overwritten");
    const version = page.readUInt16LE(HEAD + 4);
    if (version !== VERSION) throw new Flaw(`its format is ${version}, not ${VERSION}`);
    const pageSize = page.readUInt32LE(HEAD + 24);
    if (pageSize < 512 || pageSize > 65_536 || pageSize & (pageSize - 1)) throw new Flaw("it was overwritten");
    const [free, trees] = [treeAt(page, HEAD + 24), treeAt(page, HEAD + 24 + TREE_BYTES)];
    return { pageSize, free, trees, transaction: page.readBigUInt64LE(HEAD + 128) };
  }

  #tree({ flags, depth, root }: Tree, expected: number, take: Take): void {
    if ((flags & TREE_FLAGS) !== expected || depth > DEEPEST) throw new Flaw("a tree of it was overwritten");
    if (root !== NO_PAGE) this.#visit(Number(root), depth, take);
  }

  #visit(number: number, level: number, take: Take): void {
    const page = this.#page(number, level, level > 1 ? KIND.branch : KIND.leaf);
    const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)];
    if (lower % 2 !== 0 || lower > upper || HEAD + upper > page.length) throw damaged(number);
    for (let place = HEAD; place < HEAD + lower; place += 2) {
      const node = HEAD + page.readUInt16LE(place);
      const key = node + NODE + page.readUInt16LE(node + 6);
      if (node < HEAD + upper || key > page.length) throw damaged(number);
      if (level > 1) this.#visit(page.readUIntLE(node, 6), level - 1, take);
      else this.#leaf(page, node, key, take);
    }
  }

  #leaf(page: Buffer, node: number, start: number, take: Take): void {
    const [size, flags] = [page.readUInt32LE(node), page.readUInt16LE(node + 4)];
    if (flags & IN_OVERFLOW) {
      const number = Number(page.readBigUInt64LE(start));
      this.#overflow(number, size);
      take(flags, () => this.#read(Buffer.alloc(size), number * this.#meta.pageSize + HEAD));
    } else {
      if (start + size > page.length) throw new Flaw("a record of it is too long for its page");
      take(flags, () => Buffer.from(page.subarray(start, start + size)));
    }
  }

  #overflow(number: number, size: number): void {
    const head = this.#page(number, 0, KIND.overflow);
    const pages = head.readUInt32LE(20);
    if (pages !== Math.ceil((HEAD + size) / this.#meta.pageSize)) throw damaged(number);
    for (let next = number + 1; next < number + pages; next++) this.#use(next);
  }

  /** Reads a page of a tree; it stays as it is until another one of the same level is read. */
  #page(number: number, level: number, kind: number): Buffer {
    const { pageSize } = this.#meta;
    this.#use(number);
    this.#pages[level] ??= Buffer.alloc(pageSize);
    const page = this.#read(this.#pages[level], number * pageSize);
    if (page.readBigUInt64LE(0) !== BigInt(number) || kindOf(page) !== kind) throw damaged(number);
    return page;
  }

  /** Every page that is used is there, and used once. */
  #use(number: number): void {
    if (this.#used[number] === undefined) throw new Flaw(`it ends at ${this.#size} bytes, too soon`);
    if (this.#used[number] === 1) throw new Flaw(`its page ${number} is used twice`);
    this.#used[number] = 1;
  }

  /** What is free is not used. It need not be there: pages at the end may never have been written. */
  #free(list: Buffer): void {
    const length = Number(list.readBigUInt64LE(0));
    for (let entry = 1; entry <= length; entry++) {
      const value = list.readBigInt64LE(8 * entry);
      const first = value < 0 ? Number(list.readBigInt64LE(8 * ++entry)) : Number(value);
      const pages = value < 0 ? -Number(value) : 1;
      const end = Math.min(first + pages, this.#used.length);
      if (value !== 0n && first < 2) throw new Flaw("its list of free pages was overwritten");
      if (first > 0 && this.#used.subarray(first, end).includes(1)) throw new Flaw("a page of it is used and free");
    }
  }

  #read(buffer: Buffer, start: number): Buffer {
    if (readSync(this.#file, buffer, 0, buffer.length, start) < buffer.length) {
      throw new Flaw(`it ends at ${this.#size} bytes, too soon`);
    }
    return buffer;
  }
}

function treeAt(bytes: Buffer, start: number): Tree {
  return {
    flags: bytes.readUInt16LE(start + 4),
    depth: bytes.readUInt16LE(start + 6),
    root: bytes.readBigUInt64LE(start + 40),
  };
}

const kindOf = (page: Buffer): number => page.readUInt16LE(18) & KINDS;

const damaged = (page: number): Flaw => new Flaw(`its page ${page} is damaged`);
