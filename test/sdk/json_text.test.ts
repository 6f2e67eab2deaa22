import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { portableJson } from "../../src/sdk/json_text.ts";
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
