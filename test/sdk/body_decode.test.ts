import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { BodyError, bodyKind, decodeBody, decompress } from "../../src/sdk/body_decode.ts";

const fails = (kind: string, message: RegExp) => (error: unknown): boolean => {
  assert.ok(error instanceof BodyError);
  assert.equal(error.kind, kind);
  assert.match(error.message, message);
  return true;
};

test("a body is read by its Content-Type", () => {
  for (const [type, kind] of [
    ["application/json", "json"], ["Application/JSON; charset=utf-8", "json"], ["application/cloudevents+json", "json"], ["text/json", "json"],
    ["application/x-ndjson", "ndjson"], ["application/jsonl", "ndjson"], ["text/plain", "text"], ["text/html; charset=x", "text"],
    ["application/x-www-form-urlencoded", "form"], ["application/xml", undefined], ["image/png", undefined], ["", undefined], [undefined, undefined],
  ] as const) assert.equal(bodyKind(type), kind, type);
});

test("JSON, NDJSON, a form and text become values", () => {
  assert.deepEqual(decodeBody(Buffer.from('\uFEFF{"a":[1]}'), "json").values, [{ a: [1] }]);
  assert.deepEqual(decodeBody(Buffer.from('1\r\n\n{"a":2}\n'), "ndjson"), { values: [1, { a: 2 }], malformed: 0, reason: undefined });
  const [form] = decodeBody(Buffer.from("a=1&b=x+y&a=2&__proto__=z"), "form").values;
  assert.deepEqual(Object.entries(form as object), [["a", ["1", "2"]], ["b", "x y"], ["__proto__", "z"]]);
  assert.deepEqual(decodeBody(Buffer.from([0x66, 0xfc]), "text", "text/plain; charset=iso-8859-1").values, ["fü"]);
});

test("a whole number that a double does not hold keeps its digits, so that two ids do not become one; a fraction is a double", () => {
  const body = '{"id":9007199254740993,"ns":1763805600123456789,"price":10.50,"pi":3.14159265358979323846}';
  const values = [{ id: "9007199254740993", ns: "1763805600123456789", price: 10.5, pi: 3.141592653589793 }];
  assert.deepEqual(decodeBody(Buffer.from(body), "json").values, values);
  assert.deepEqual(decodeBody(Buffer.from(`${body}\n`), "ndjson").values, values);
});

test("one broken line of NDJSON is counted and takes no other with it", () => {
  assert.deepEqual(decodeBody(Buffer.from('1\n{"secret":\n3'), "ndjson"), {
    values: [1, 3], malformed: 1, reason: "line 2: no valid JSON",
  });
});

test("what is malformed is said without repeating the body", () => {
  for (const text of ["", " ", "hunter2", '{"a": hunter2}', `{"a":1${"hunter2".repeat(9)}}`, "{"]) {
    assert.throws(() => decodeBody(Buffer.from(text), "json"), (error: Error) => {
      assert.doesNotMatch(error.message, /hunter2/);
      return fails("malformed", /JSON/)(error);
    });
  }
  assert.throws(() => decodeBody(Buffer.from([0x22, 0xff, 0x22]), "json"), fails("malformed", /UTF-8/));
  assert.throws(() => decodeBody(Buffer.from("x"), "text", "text/plain; charset=klingon"), fails("unsupported", /charset/));
});

test("JSON nested to kill the stack is refused; brackets within strings do not count", () => {
  assert.throws(() => decodeBody(Buffer.from("[".repeat(500_000)), "json"), fails("malformed", /nested deeper than 200/));
  assert.throws(() => decodeBody(Buffer.from(`${"[".repeat(201)}${"]".repeat(201)}`), "json"), fails("malformed", /nested/));
  decodeBody(Buffer.from(`${"[".repeat(200)}${"]".repeat(200)}`), "json");
  assert.deepEqual(decodeBody(Buffer.from(JSON.stringify(`\\"${"[{".repeat(999)}`)), "json").values, [`\\"${"[{".repeat(999)}`]);
});

test("a key named __proto__ reaches no prototype", () => {
  const [value] = decodeBody(Buffer.from('{"__proto__":{"polluted":true}}'), "json").values;
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test("decompression stops at the limit, and knows what it does not know", async () => {
  assert.equal(String(await decompress(gzipSync("x".repeat(100)), "GZIP", 100)), "x".repeat(100));
  await assert.rejects(decompress(gzipSync("x".repeat(101)), "gzip", 100), fails("too_large", /larger than 100 bytes/));
  await assert.rejects(decompress(gzipSync("x").subarray(0, 10), "gzip", 100), fails("malformed", /no valid gzip/));
  for (const encoding of ["zstd", "gzip, gzip", "constructor"]) {
    await assert.rejects(decompress(Buffer.from("x"), encoding, 100), fails("unsupported", /unsupported content encoding/));
  }
  assert.equal(String(await decompress(Buffer.from("x"), undefined, 100)), "x");
});
