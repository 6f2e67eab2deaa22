import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { transform } from "../../processors/transform.ts";
import { parsePath, valueAt, withValue } from "../../processors/transform/path.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { bodyThrough, created, observed, through } from "../support/processor.ts";

function changed(config: Json, body: Json): Json | undefined {
  return bodyThrough(created(transform, config).processor, observed(body));
}

test("set makes what is missing, replaces what is there, and sees the sets before it", () => {
  assert.deepEqual(
    changed({ set: { "body.order.total": "body.cents / 100", "body.order.big": "body.order.total > 5", 'body["odd key"].x': "'y'" } }, { cents: 700, order: null }),
    { cents: 700, order: { total: 7, big: true }, "odd key": { x: "y" } },
  );
});

test("set, then rename, then delete, whatever the order in the file", () => {
  assert.deepEqual(
    changed({ delete: ["body.tmp"], rename: { "body.made": "body.kept.deep" }, set: { "body.made": "body.tmp + '!'" } }, { tmp: "a" }),
    { kept: { deep: "a!" } },
  );
});

test("rename moves, replaces what is there, and leaves alone what does not exist", () => {
  assert.deepEqual(changed({ rename: { "body.a": "body.b", "body.none": "body.b" } }, { a: 1, b: 2 }), { b: 1 });
  assert.deepEqual(changed({ rename: { "body.a": "body.a.inner" } }, { a: 1 }), { a: { inner: 1 } });
  assert.deepEqual(changed({ rename: { "body.payload": "body" } }, { payload: { id: 1 }, meta: 2 }), { id: 1 });
  assert.deepEqual(changed({ rename: { body: "body.message" } }, "text"), { message: "text" });
});

test("attributes are set, renamed, moved from the body and removed; null removes", () => {
  const { processor } = created(transform, {
    set: { "attributes.region": "'eu'", "attributes.gone": "null", "attributes.tags": "['a', 'b']" },
    rename: { "body.host": 'attributes["host.name"]' },
    delete: ["attributes.secret"],
  });
  const [output] = through(processor, observed({ host: "h1" }, { secret: "s", gone: 1, kept: true }));
  assert.deepEqual(output!.attributes, { kept: true, region: "eu", tags: ["a", "b"], "host.name": "h1" });
  assert.deepEqual(wholeBody(output!.body), {});
});

test("time can be set to any kind of time", () => {
  for (const [expression, ms] of [["body.t", 1_747_476_303_000], ["timestamp(body.t)", 1_747_476_303_000], ["1747476303", 1_747_476_303_000], ["time + duration('5s')", 6_000]] as const) {
    const [output] = through(created(transform, { set: { time: expression } }).processor, observed({ t: "2025-05-17T10:05:03Z" }));
    assert.equal(output!.time, ms, expression);
  }
  assert.deepEqual(through(created(transform, { set: { time: "body.t" } }).processor, observed({ t: "soon" })), []);
});

test("values become JSON: integers, timestamps, durations, bytes, maps and lists", () => {
  assert.deepEqual(
    changed({ set: { "body.v": "{'i': 5, 'big': 9007199254740993, 't': timestamp('2026-01-01T00:00:00Z'), 'd': duration('1m30s'), 'b': b'ab', 'l': [1, 2u]}" } }, {}),
    { v: { i: 5, big: "9007199254740993", t: "2026-01-01T00:00:00Z", d: "90s", b: "YWI=", l: [1, 2] } },
  );
});

test("when one step fails the observation goes on as it came, or not at all", () => {
  const config = { set: { "body.a": "1", "body.b": "body.missing" } };
  const dropping = created(transform, config);
  assert.deepEqual(through(dropping.processor, observed({})), []);
  assert.match(dropping.recorded.failed[0]!.reason, /^body\.b: /);
  const passing = created(transform, { ...config, on_error: "pass" });
  const input = observed({ x: 1 });
  assert.equal(through(passing.processor, input)[0], input);
});

test("text, lists and numbers on the way are not overwritten", () => {
  for (const [body, reason] of [["text", /text, not an object; parse it before/], [{ a: "x" }, /a is text/], [{ a: [1] }, /a is a list/], [{ a: 5 }, /a is a number/]] as const) {
    const { processor, recorded } = created(transform, { set: { "body.a.b": "1" } });
    assert.deepEqual(through(processor, observed(body)), []);
    assert.match(recorded.failed[0]!.reason, reason);
  }
  const { recorded, processor } = created(transform, { set: { "attributes.a": "body" } });
  through(processor, observed({}));
  assert.match(recorded.failed[0]!.reason, /an attribute holds text/);
});

test("deleting what is not there changes nothing", () => {
  const body = { a: { b: 1 } };
  assert.equal(changed({ delete: ["body.a.c", "body.x.y", "body.a.b.c"] }, body), body);
});

test("paths that lead to a prototype, or nowhere, are errors of the configuration", () => {
  const refused = (config: Json, pointer: string, message: RegExp): void =>
    assert.throws(() => created(transform, config), (error) => error instanceof ConfigError && error.pointer === pointer && message.test(error.message));
  for (const key of ["__proto__", "constructor", "prototype"]) {
    refused({ set: { [`body.${key}.x`]: "1" } }, `/set/body.${key}.x`, /cannot be a part/);
    refused({ rename: { "body.a": `body["${key}"]` } }, "/rename/body.a", /cannot be a part/);
    refused({ delete: ["body.a", `attributes.${key}`] }, "/delete/1", /cannot be a part/);
  }
  refused({ set: { "self.state": "1" } }, "/set/self.state", /cannot be changed; allowed are/);
  refused({ set: { "body.items[0]": "1" } }, "/set/body.items[0]", /element of a list/);
  refused({ set: { "body..a": "1" } }, "/set/body..a", /no path from character 5/);
  refused({ set: { 'body["a/b': "1" } }, '/set/body["a~1b', /no path/);
  refused({ set: { "attributes.a.b": "1" } }, "/set/attributes.a.b", /write attributes\["a\.b"\]/);
  refused({ set: { attributes: "1" } }, "/set/attributes", /one name/);
  refused({ rename: { time: "body.t" } }, "/rename/time", /can be set/);
  refused({ delete: ["body"] }, "/delete/0", /whole body/);
  refused({ set: { "body.a": "body." } }, "/set/body.a", /./);
  refused({ set: {} }, "", /nothing to do/);
});

test("a body full of prototype names passes through untouched, and reaches no prototype", () => {
  const body = JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"a":{"__proto__":{"polluted":1}}}') as Json;
  const output = changed({ set: { "body.a.x": "1", "body.copy": "body" }, rename: { "body.a": "body.b" }, delete: ["body.none"] }, body) as { b: object };
  assert.ok(Object.hasOwn(output, "__proto__") && Object.hasOwn(output.b, "__proto__"));
  assert.equal(Object.getPrototypeOf(output), Object.prototype);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  // An inherited method is not a field.
  assert.deepEqual(changed({ rename: { "body.toString": "body.x", "body.valueOf.name": "body.y" } }, { a: 1 }), { a: 1 });
});

/** Freezes a value and all within it, so that a write throws. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const inner of Object.values(value)) frozen(inner);
    Object.freeze(value);
  }
  return value;
}

test("whatever the body and the paths, the input never changes, and no prototype does", () => {
  const key = fc.constantFrom("a", "b", "c", "odd key", "__proto__", "constructor", "toString");
  const value = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof({ maxDepth: 3 }, fc.constantFrom(1, "text", null, true), fc.array(tie("value"), { maxLength: 2 }),
      fc.array(fc.tuple(key, tie("value")), { maxLength: 3 }).map((entries) => Object.fromEntries(entries))),
  })).value;
  const path = fc.array(fc.constantFrom("a", "b", "c", "odd key", "toString"), { minLength: 1, maxLength: 3 })
    .map((keys) => `body${keys.map((k) => `["${k}"]`).join("")}`);
  const config = fc.record({
    set: fc.dictionary(path, fc.constantFrom("1", "body", "body.a", "[body]", "{'__proto__': body.a}"), { maxKeys: 3 }),
    rename: fc.dictionary(path, path, { maxKeys: 2 }),
    delete: fc.array(path, { minLength: 1, maxLength: 2 }),
    on_error: fc.constantFrom("drop", "pass"),
  });
  const names = Object.getOwnPropertyNames(Object.prototype).join();
  fc.assert(fc.property(value, config, (body, changes) => {
    const input = frozen(observed(body, { region: "eu" }));
    const before = JSON.stringify(body);
    for (const output of through(created(transform, changes as Json).processor, input)) JSON.stringify(wholeBody(output.body));
    assert.equal(JSON.stringify(wholeBody(input.body)), before);
    assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), names);
  }), { numRuns: 500 });
});

test("what is set at a path is read back from it, and everything beside it is the same object", () => {
  const body = frozen({ a: { b: { c: 1 } }, other: { big: [1, 2, 3] } });
  const output = withValue(body, parsePath("body.a.b.d"), 5) as unknown as typeof body;
  assert.equal(valueAt(output, ["a", "b", "d"]), 5);
  assert.equal(output.other, body.other);
  assert.deepEqual(body, { a: { b: { c: 1 } }, other: { big: [1, 2, 3] } });
});
