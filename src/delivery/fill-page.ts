/** Fills a page of history from publications in their order; every History implementation uses it. */
import type { Publication } from "../protocol/publication.js";
import type { HistoryPage, ReadOptions } from "./history.js";

/**
 * `from` starts after the offset `after`; a number in it means that publications up to this offset cannot be read. `end` is the last offset
 * that `from` covers, whether a publication has it or not.
 */
export function fillPage(
  from: Iterable<Publication | number>,
  after: number,
  end: number,
  options: ReadOptions,
): HistoryPage {
  const { through, maxBytes, most = Number.POSITIVE_INFINITY, match } = options;
  const publications: Publication[] = [];
  let [bytes, examined, reached] = [0, 0, after];
  for (const publication of from) {
    if (typeof publication === "number") {
      return reached > after
        ? { publications, through: reached }
        : { publications, through: Math.min(publication, through), isBroken: true };
    }
    if (publication.offset > through) break;
    if (examined++ === most) return { publications, through: reached };
    if (!match || match(publication)) {
      bytes += publication.bytes.length;
      if (publications.length > 0 && bytes > maxBytes) return { publications, through: reached };
      publications.push(publication);
    }
    reached = publication.offset;
  }
  return { publications, through: Math.max(after, Math.min(through, end)) };
}
