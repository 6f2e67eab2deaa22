import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse } from "../../processors/parse.ts";
import { ConfigError } from "../../src/sdk/errors.ts";
import { wholeBody, type Json } from "../../src/sdk/observation.ts";
import { bodyThrough, created, observed, through } from "../support/processor.ts";

function read(config: Json, text: Json): Json | undefined {
  return bodyThrough(created(parse, config).processor, observed(text));
}

function refused(config: Json, message: RegExp): void {
  assert.throws(() => created(parse, config), (error) => error instanceof ConfigError && message.test(`${error.pointer} ${error.message}`));
}

test("JSON text becomes the body, and nothing else of the observation changes", () => {
  const input = observed('{"id":"o1","total":3.5}', { "log.file.path": "/a" });
  const [output] = through(created(parse, { format: "json" }).processor, input);
  assert.deepEqual(wholeBody(output!.body), { id: "o1", total: 3.5 });
  assert.deepEqual({ ...output, body: 0 }, { ...input, body: 0 });
  assert.equal(wholeBody(input.body), '{"id":"o1","total":3.5}');
});

test("a whole number that a double does not hold keeps its digits as text", () => {
  assert.deepEqual(read({ format: "json" }, '{"id":9007199254740993,"n":5,"pi":3.14159265358979323846}'), { id: "9007199254740993", n: 5, pi: 3.141592653589793 });
});

test("a body that is decoded already passes as the same observation", () => {
  for (const body of [{ a: 1 }, [1], 5, null, true]) {
    const input = observed(body);
    assert.equal(through(created(parse, { format: "json" }).processor, input)[0], input);
  }
});

test("text that cannot be read is dropped and counted, with a reason that does not quote it", () => {
  const { processor, recorded } = created(parse, { format: "json" });
  assert.deepEqual(through(processor, observed('{"password":"hunter2",')), []);
  assert.deepEqual(through(processor, observed("hunter2")), []);
  assert.deepEqual(recorded.failed.map(({ reason, onError }) => [reason, onError]), [["not JSON", "drop"], ["not JSON", "drop"]]);
});

test("text that cannot be read goes on unchanged where on_error says pass", () => {
  const { processor, recorded } = created(parse, { format: "json", on_error: "pass" });
  const input = observed("plain");
  assert.equal(through(processor, input)[0], input);
  assert.equal(recorded.failed.length, 1);
});

test("a key __proto__ stays an ordinary key in every format, and reaches no prototype", () => {
  const json = read({ format: "json" }, '{"__proto__":{"polluted":true}}') as object;
  const logfmt = read({ format: "logfmt" }, "__proto__=polluted constructor=x a=1") as object;
  const field = created(parse, { format: "json", field: "body.log", merge: true }).processor;
  const merged = bodyThrough(field, observed({ log: '{"__proto__":{"polluted":true}}', kept: 1 })) as object;
  for (const value of [json, logfmt, merged]) {
    assert.ok(Object.hasOwn(value, "__proto__"));
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.equal((value as { polluted?: unknown }).polluted, undefined);
  }
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
});

test("JSON nested so deeply that later steps would overflow the stack is refused, whatever its size", () => {
  const { processor, recorded } = created(parse, { format: "json" });
  for (const depth of [201, 10_000, 500_000]) {
    assert.deepEqual(through(processor, observed("[".repeat(depth) + "]".repeat(depth))), []);
    assert.deepEqual(through(processor, observed('{"a":'.repeat(depth) + "1" + "}".repeat(depth))), []);
  }
  assert.deepEqual(new Set(recorded.failed.map((f) => f.reason)), new Set(["JSON nested deeper than 200 levels"]));
  assert.doesNotThrow(() => JSON.stringify(read({ format: "json" }, "[".repeat(200) + "]".repeat(200))));
});

test("a byte order mark and a carriage return around JSON do no harm", () => {
  assert.deepEqual(read({ format: "json" }, '\uFEFF{"a":1}\r'), { a: 1 });
});

test("brackets inside JSON strings are not nesting", () => {
  const text = JSON.stringify({ a: '["\\'.repeat(1_000), b: "[".repeat(5_000) });
  assert.deepEqual(read({ format: "json" }, text), JSON.parse(text));
});

test("logfmt: quoted values with escapes, bare keys are true, the last of equal keys wins, values stay text", () => {
  assert.deepEqual(
    read({ format: "logfmt" }, String.raw`  level=info msg="paid \"twice\"\n\u00e9" retry n=12 n=13 empty= base=YQ==  `),
    { level: "info", msg: 'paid "twice"\né', retry: true, n: "13", empty: "", base: "YQ==" },
  );
  assert.deepEqual(read({ format: "logfmt" }, 'order.id="o 1" größe=2'), { "order.id": "o 1", größe: "2" });
});

test("logfmt that is none is refused: prose, an open quote, a missing key, glued values", () => {
  for (const text of ["panic: runtime error", "", "   ", 'a="b', 'a="b\\"', "=x", 'a="b"c=d', 'a"b=c', "a = b"]) {
    assert.equal(read({ format: "logfmt" }, text), undefined, text);
  }
});

test("logfmt reads back every object of text that a writer quoted", () => {
  const key = fc.string({ minLength: 1 }).filter((k) => /^[^\s="]+$/.test(k));
  fc.assert(fc.property(fc.dictionary(key, fc.string(), { minKeys: 1, noNullPrototype: true }), (fields) => {
    const line = Object.entries(fields).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(" ");
    assert.deepEqual(read({ format: "logfmt" }, line), fields);
  }), { numRuns: 300 });
});

test("regex: named groups become fields; a group without a part in the match gives none", () => {
  const pattern = String.raw`order (?<id>\S+)(?: is (?<state>\w+))?(?: for (?P<who>\w+))?`;
  assert.deepEqual(read({ format: "regex", pattern }, "10:00 order o-1 is paid!"), { id: "o-1", state: "paid" });
  assert.equal(read({ format: "regex", pattern }, "nothing here"), undefined);
});

test("a pattern that explodes in backtracking engines takes linear time, and so does a hostile line", () => {
  const { processor, recorded } = created(parse, { format: "regex", pattern: "^(?<x>(a+)+)$" });
  const started = process.cpuUsage().user;
  assert.deepEqual(through(processor, observed(`${"a".repeat(60_000)}!`)), []);
  assert.ok(process.cpuUsage().user - started < 1_000_000, "took more than a second");
  assert.deepEqual(through(processor, observed("a".repeat(65_537))), []);
  assert.match(recorded.failed[1]!.reason, /longer than the 65536/);
});

test("the larger a pattern, the shorter the text it may read, so that their product stays bounded", () => {
  const { processor, recorded } = created(parse, { format: "regex", pattern: "(?<x>(?:a?){1000})(?<y>[ab])$" });
  const started = process.cpuUsage().user;
  assert.equal(through(processor, observed("a".repeat(30_000))).length, 0);
  assert.equal(through(processor, observed("a".repeat(10_000))).length, 1);
  assert.match(recorded.failed[0]!.reason, /longer than the \d{5} characters/);
  assert.ok(process.cpuUsage().user - started < 10_000_000);
});

test("what RE2 does not have, and what would take too much, is an error of the configuration that says so", () => {
  refused({ format: "regex", pattern: "(?=a)(?<x>b)" }, /^\/pattern .*look-around/);
  refused({ format: "regex", pattern: "(?<x>a)\\1" }, /back-references/);
  refused({ format: "regex", pattern: "(?<x>a{1000}){1000}" }, /repeat/);
  refused({ format: "regex", pattern: `(?<x>a)${"(?:c{50}){19}".repeat(11)}` }, /too large/);
  refused({ format: "regex", pattern: "abc" }, /no named group/);
  refused({ format: "regex", pattern: "(?<__proto__>a)" }, /__proto__/);
  refused({ format: "regex" }, /pattern is missing/);
  refused({ format: "json", pattern: "a" }, /^\/pattern .*not for json/);
  refused({ format: "regex", pattern: "(?<a>b)", patterns: { A: "b" } }, /^\/patterns/);
  refused({ format: "json", merge: true }, /^\/merge/);
});

test("field names nested text: its value replaces the body, or is merged into it", () => {
  const body = { log: '{"id":"o1","stream":"inner"}', stream: "stdout" };
  assert.deepEqual(read({ format: "json", field: "body.log" }, body), { id: "o1", stream: "inner" });
  assert.deepEqual(read({ format: "json", field: "body.log", merge: true }, body), { ...body, id: "o1", stream: "inner" });
  assert.equal(body.stream, "stdout");
  assert.deepEqual(read({ format: "json", field: "body.log" }, { log: { id: 1 } }), { id: 1 });
});

test("field may be an attribute", () => {
  const { processor } = created(parse, { format: "logfmt", field: 'attributes["x y"]' });
  assert.deepEqual(bodyThrough(processor, observed("ignored", { "x y": "a=1" })), { a: "1" });
});

test("a field that is missing, or is no text, is a failure and not a crash", () => {
  const { processor, recorded } = created(parse, { format: "json", field: "body.log" });
  for (const body of [{}, { log: 5 }, { log: null }, { log: [] }, "text", null]) assert.deepEqual(through(processor, observed(body)), []);
  assert.equal(recorded.failed.length, 6);
});

test("any text gives a value or a counted failure, never an exception", () => {
  for (const config of [{ format: "json" }, { format: "logfmt" }, { format: "regex", pattern: "(?<a>.+) (?<b>\\d)" }]) {
    const { processor, recorded } = created(parse, config);
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const before = recorded.failed.length;
      assert.equal(through(processor, observed(text)).length + recorded.failed.length - before, 1);
    }), { numRuns: 300 });
  }
});
