import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { Paths } from "../../../src/observability/admin/paths.js";

const paths = new Paths([
  ["/", "root"],
  ["/clients", "list"],
  ["/clients/{server}/{id}", "one"],
  ["/clients/{server}/{id}/disconnect", "end"],
]);

describe("Paths", () => {
  test("an exact path is found, and nothing beside it", () => {
    assert.deepEqual(paths.find("/clients"), { route: "list", params: {} });
    for (const path of ["", "/x", "/clients/", "//clients", "/Clients", "/clients/{server}"])
      assert.equal(paths.find(path), undefined, path);
  });

  test("each name of a pattern matches one segment, decoded", () => {
    assert.deepEqual(paths.find("/clients/main/7"), { route: "one", params: { server: "main", id: "7" } });
    assert.deepEqual(paths.find("/clients/a%2Fb/%C3%BC/disconnect")?.params, { server: "a/b", id: "ü" });
    for (const path of [
      "/clients//7",
      "/clients/main/",
      "/clients/main/7/x",
      "/clients/main/7/disconnect/",
      "/clients/%/7",
    ])
      assert.equal(paths.find(path), undefined, path);
  });

  test("decodes what was encoded", () => {
    const segment = fc.string({ unit: "grapheme", minLength: 1 });
    fc.assert(
      fc.property(segment, segment, (server, id) => {
        const path = `/clients/${encodeURIComponent(server)}/${encodeURIComponent(id)}`;
        assert.deepEqual(paths.find(path), { route: "one", params: { server, id } });
      }),
    );
  });

  test("no path is an error", () => {
    fc.assert(fc.property(fc.string(), (path) => void paths.find(`/clients/${path}`)));
  });
});
