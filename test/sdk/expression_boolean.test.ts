import assert from "node:assert/strict";
import { test } from "node:test";
import { neverBoolean } from "../../src/sdk/expression_boolean.ts";

test("what is no condition is told from what may be one", () => {
  for (const text of ["1", "'a'", "null", "[1]", "{'a': 1}", "1 + 2", "-body.x", "size(body.x)", "now", "self.state", "value", "!3", "a && 1", "1 || 'a'", "body.x ? 1 : 2", "now - self.since"]) {
    assert.notEqual(neverBoolean(text), undefined, text);
  }
  for (const text of [
    "true", "body", "body.count", "self.paid", "attributes.x", "has(self.state)", "body.x > 1", "1 in [1]", "body.x || 1", "!body.x", "body.x ? 1 : true",
    "body.list.exists(value, value)", "body.list.all(x, x)", "self.state.startsWith('a')", "body.size()", "bool('true')", "dyn(1)", "group.paid", "transition.to == 'x'",
  ]) {
    assert.equal(neverBoolean(text), undefined, text);
  }
});
