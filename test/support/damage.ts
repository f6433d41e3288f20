/** Damage to a stored history, as a disk does it: one byte of one block. */
import { join } from "node:path";
import { open } from "lmdb";

/** Damages a block in the middle. What it held, at least one event, are offsets above `after`, up to `through`. */
export async function damageBlock(folder: string): Promise<{ after: number; through: number }> {
  const root = open({ path: join(folder, "history.mdb"), maxDbs: 4 });
  const blocks = root.openDB<Buffer, number>({ name: "blocks", encoding: "binary" });
  const keys = [...blocks.getKeys({})];
  const middle = keys.length >> 1;
  const [after = 0, through = 0] = keys.slice(middle - 1, middle + 1);
  const block = Buffer.from(blocks.get(through) ?? Buffer.alloc(0));
  block[block.length - 1] = (block.at(-1) ?? 0) ^ 1;
  await blocks.put(through, block);
  await root.close();
  return { after, through };
}
