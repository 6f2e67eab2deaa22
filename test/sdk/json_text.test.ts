import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { exactJson, portableJson } from "../../src/sdk/json_text.ts";
import type { Json } from "../../src/sdk/observation.ts";

/** With the same characters gone, in the value itself. */
function clean(value: Json): Json {
  if (typeof value === "string") return value.toWellFormed().replaceAll("\0", "\ufffd");
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return (value as readonly Json[]).map(clean);
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [clean(name) as string, clean(item as Json)]));
}

test("JSON for others holds no half of a surrogate pair and no NUL, and else says the same", () => {
  assert.equal(portableJson({ a: "\ud800 \udfff 😀 \0 \\ud800 \\\\u0000 \n\"" }), JSON.stringify({ a: "\ufffd \ufffd 😀 \ufffd \\ud800 \\\\u0000 \n\"" }).replaceAll("\ufffd", "\\ufffd"));
  const character = fc.constantFrom("\ud83d", "\ude00", "\0", "\\", "u", "d", "8", "0", "\"", "a", "\n");
  const text = fc.array(character, { maxLength: 20 }).map((parts) => parts.join(""));
  fc.assert(fc.property(fc.array(text, { maxLength: 5 }), text, (texts, key) => {
    const value = { list: texts, [key]: texts[0] ?? null };
    const json = portableJson(value);
    assert.ok(!/(?<!\\)(?:\\\\)*\\u(?:d[89a-f]|0000)/.test(json), json);
    assert.deepEqual(JSON.parse(json), clean(value));
  }));
});

test("a number that a double does not hold keeps its digits as text, wherever it stands, and nothing else changes", () => {
  const text = '{"id":9007199254740993, "list":[ -12345678901234567890 ,1], "price":12345678901234.123456789, "safe":9007199254740991, "same":0.30000000000000004, "zeros":1.50000000000000000, "big":1.5E300}';
  const rest = { safe: 9_007_199_254_740_991, same: 0.30000000000000004, zeros: 1.5, big: 1.5e300 };
  assert.deepEqual(exactJson(text), { id: "9007199254740993", list: ["-12345678901234567890", 1], price: "12345678901234.123456789", ...rest });
  assert.deepEqual(exactJson(text, true), { id: "9007199254740993", list: ["-12345678901234567890", 1], price: 12345678901234.123, ...rest });
  assert.equal(exactJson(" 12345678901234567890 "), "12345678901234567890");
  const strings = { "12345678901234567890": '",12345678901234567890,"', a: '\\":12345678901234567890}', "[12345678901234567890]": "\\" };
  assert.deepEqual(exactJson(JSON.stringify(strings)), strings);
});

test("what is no JSON does not become any by its long numbers", () => {
  const long = "12345678901234567890";
  for (const text of [`{${long}:1}`, `{ ${long} :1}`, `{"a":1,${long}:2}`, `{"a":1,${long}}`, `[0${long}]`, `[${long} ${long}]`, `[${long}.]`, `[+${long}]`, `"a"${long}`, `[${long}`, `${long},`, `"${long}`]) {
    assert.throws(() => exactJson(text), SyntaxError, text);
  }
});

test("any JSON is read as by JSON.parse, but for the numbers that are quoted then", () => {
  const number = fc.oneof(fc.double({ noNaN: true, min: -9e15, max: 9e15 }), fc.maxSafeInteger());
  const { json } = fc.letrec<{ json: Json }>((tie) => ({
    json: fc.oneof({ maxDepth: 4 }, number, fc.string(), fc.bigInt({ min: 10n ** 16n, max: 10n ** 30n }).map((n) => `@${n}@`), fc.array(tie("json")), fc.dictionary(fc.string(), tie("json")) as fc.Arbitrary<Json>),
  }));
  fc.assert(fc.property(json, fc.constantFrom(undefined, 1), (value, indent) => {
    const quoted = JSON.stringify(value, undefined, indent);
    const bare = quoted.replace(/"@(\d+)@"(?!:)/g, "$1");
    const exact = quoted.replace(/"@(\d+)@"(?!:)/g, (_, digits: string) => (Number.isSafeInteger(Number(digits)) ? digits : `"${digits}"`));
    assert.deepEqual(exactJson(bare), JSON.parse(exact));
  }));
});
