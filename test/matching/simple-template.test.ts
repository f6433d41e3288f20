import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { compileNode } from "../../src/matching/automaton.js";
import { unlimitedWork } from "../../src/matching/compile-work.js";
import { matchesNfa } from "../../src/matching/nfa-matcher.js";
import { simpleTemplate } from "../../src/matching/simple-template.js";
import { parseTemplate } from "../../src/matching/uri-template.js";

const TEMPLATES = ["{id}", "a/{id}", "{id}/b", "a/{id}/b", "a%41{id}%42", "a{id}a"] as const;

describe("simpleTemplate", () => {
  for (const template of TEMPLATES)
    test(`${template} matches what the automaton matches`, () => {
      const program = compileNode(parseTemplate(template) ?? assert.fail(), unlimitedWork());
      const matches = simpleTemplate(template) ?? assert.fail();
      const [prefix = "", suffix = ""] = template.split("{id}");
      const value = fc.string({ unit: fc.constantFrom("a", "7", ".", ",", "~", "/", "%", "%4", "%41", "ü", "G", "") });
      fc.assert(
        fc.property(value, fc.boolean(), (inside, isFramed) => {
          const topic = isFramed ? `${prefix}${inside}${suffix}` : inside;
          assert.equal(matches(topic), matchesNfa(program, topic), topic);
        }),
      );
    });

  test("leaves every other template to the automaton", () => {
    for (const template of ["a", "{+a}", "{a*}", "{a:3}", "{a,b}", "{a}{b}", "{a.b}", "{/a}"])
      assert.equal(simpleTemplate(template), undefined, template);
  });
});
