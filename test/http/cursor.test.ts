/** Last-Event-ID headers that are lists: what a client or a proxy makes of several values. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HUB, Web } from "./harness.js";

/** A hub with five events; the second and the fourth have ids of their publisher, which contain commas. */
async function openWeb() {
  const web = await Web.open();
  for (const field of ["", "&id=Smith, John", "", "&id=John", ""]) await web.post(`topic=a&data=x${field}`);
  const own = (offset: number, epoch = web.history.epoch) => `#${epoch}.${offset}`;
  const events = (id: string, query = "topic=a") =>
    web.events(web.send(HUB, { query, headers: { "last-event-id": id } })).length;
  const hasGap = async (id: string) =>
    (await web.get(HUB, { query: "topic=a", headers: { "last-event-id": id } })).body.includes("event: m2push-gap");
  return { web, own, events, hasGap };
}

describe("a Last-Event-ID header with commas", () => {
  test("stands for its last id where the hub made all of them and their offsets ascend", async () => {
    const { own, events, hasGap } = await openWeb();
    for (const joined of [
      `${own(1)}, ${own(3)}`,
      `${own(1)},${own(3)}`,
      `${own(1)} \t,\t ${own(2)}, ${own(3)}`,
      `${own(3)}, ${own(3)}`,
      `${own(1)}, ${own(3)}.log.7`,
    ]) {
      assert.equal(events(joined), 2, joined);
      assert.equal(events(joined, "match=a"), 2, joined);
    }
    assert.equal(await hasGap(`${own(1)}, ${own(3)}`), false);
  });

  test("is answered with that id in the response", async () => {
    const { web, own } = await openWeb();
    const ask = { query: "match=a", headers: { "last-event-id": `${own(1)}, ${own(3)}` } };
    assert.equal((await web.get(HUB, ask)).headers["mercure-last-event-id"], own(3));
  });

  test("is a publisher's id as it stands", async () => {
    const { events, hasGap } = await openWeb();
    assert.equal(events("Smith, John"), 3);
    assert.equal(await hasGap("Smith, John"), false);
  });

  // To take the known part of "Miller, John" would skip what came between the two without a gap.
  test("gets a gap in every other case", async () => {
    const { own, hasGap } = await openWeb();
    for (const joined of [
      "Miller, John",
      `John, ${own(3)}`,
      `${own(3)}, John`,
      `${own(3)}, ${own(1)}`,
      `${own(1, "other")}, ${own(3)}`,
      `${own(1)}, `,
      `${own(1)}, ${own(3)},`,
      `${own(1)}, ${own(99)}`,
    ]) {
      assert.equal(await hasGap(joined), true, joined);
    }
  });
});
