import assert from "node:assert/strict";
import { test } from "node:test";
import { filter } from "../../processors/filter.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { created, observed, through } from "../support/processor.ts";

test("keep passes on what it says, as it came, and counts the rest", () => {
  const { processor, recorded } = created(filter, { keep: "body.level == 'error'" });
  const input = observed({ level: "error" });
  assert.equal(through(processor, input)[0], input);
  assert.deepEqual(through(processor, observed({ level: "info" })), []);
  assert.deepEqual(recorded.counted, ["filtered"]);
});

test("drop passes on all but what it says", () => {
  const { processor, recorded } = created(filter, { drop: "body.level == 'debug'" });
  assert.equal(through(processor, observed({ level: "error" })).length, 1);
  assert.equal(through(processor, observed({ level: "debug" })).length, 0);
  assert.deepEqual(recorded.counted, ["filtered"]);
});

test("a condition that fails is false: keep drops, drop keeps, and it is counted", () => {
  const keep = created(filter, { keep: "body.total > 10" });
  const drop = created(filter, { drop: "body.total > 10" });
  for (const body of [{}, { total: "much" }, "text", null, [1]]) {
    assert.equal(through(keep.processor, observed(body)).length, 0);
    assert.equal(through(drop.processor, observed(body)).length, 1);
  }
  assert.equal(keep.recorded.reports.length, 5);
  assert.equal(drop.recorded.reports.length, 5);
});

test("exactly one condition, which is checked when the configuration is loaded", () => {
  const refused = (config: Record<string, string>, pointer: string): void =>
    assert.throws(() => created(filter, config), (error) => error instanceof ConfigError && error.pointer === pointer);
  refused({}, "");
  refused({ keep: "true", drop: "false" }, "/drop");
  refused({ keep: "body.a ==" }, "/keep");
  refused({ drop: "nobody.a == 1" }, "/drop");
});
