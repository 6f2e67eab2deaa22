import assert from "node:assert/strict";
import { test } from "node:test";
import { observation, type Json } from "../../src/sdk/observation.ts";
import { observationExcerpt, withoutSecrets } from "../../src/sdk/observation_excerpt.ts";

const excerpt = (body: Json, attributes = {}) => observationExcerpt(observation(body, { source: "feed", time: 5, attributes, id: "i" }));

test("an excerpt says where an observation came from, when, and what it said", () => {
  const body = { id: "o1", lines: [{ sku: "x", n: 2 }], note: null, ok: true };
  assert.deepEqual(excerpt(body, { "messaging.kafka.offset": 7, tags: ["a", "b"] }), {
    source: "feed", time: 5, id: "i", attributes: { "messaging.kafka.offset": 7, tags: ["a", "b"] }, body,
  });
  assert.equal(excerpt("a line of text").body, "a line of text");
});

test("what is secret by its name is left out, wherever it stands", () => {
  const names = ["Authorization", "cookie", "access_token", "client_secret", "PASSWORD", "passwd", "api_key", "apiKey", "x-signature", "private_key", "credentials"];
  for (const name of names) {
    const all = JSON.stringify(excerpt({ [name]: "hush", deep: [{ [name]: { x: "hush" } }] }, { [`http.request.header.${name}`]: "hush" }));
    assert.doesNotMatch(all, /hush/, name);
  }
  assert.deepEqual(withoutSecrets({ "http.request.header.authorization": "hush", "url.path": "/x" }), { "url.path": "/x" });
});

test("secrets in text are left out, too, and the text around them is not", () => {
  const lines = {
    "GET /x?token=hush&page=2 200": "GET /x?token=[redacted]&page=2 200",
    "login password: hush failed": "login password: [redacted] failed",
    '{"user":"kim","api_key":"hush hush","n":1}': '{"user":"kim","api_key":[redacted],"n":1}',
    '{\\"secret\\":\\"hush\\"}': '{\\"secret\\":[redacted]}',
    "Authorization: Bearer hush.hush\nHost: x": "Authorization: [redacted]\nHost: x",
    "Cookie: a=hush; b=hush": "Cookie: [redacted]",
    "the token expired": "the token expired",
  };
  for (const [line, shown] of Object.entries(lines)) {
    assert.equal(excerpt(line).body, shown);
    assert.equal((excerpt({ line }).body as { line: string }).line, shown);
  }
});

test("however large, deep or odd, an excerpt is small and quickly made", () => {
  let deep: Json = "x";
  for (let i = 0; i < 10_000; i++) deep = [deep];
  const odd: Json[] = [
    "x".repeat(10_000_000), "token".repeat(1_000_000), '"'.repeat(5_000), "\u0000".repeat(5_000),
    Array.from({ length: 100_000 }, (_, i) => i),
    Array.from({ length: 100_000 }, () => ({})),
    Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`key ${i}`, "v".repeat(100)])),
    { ["k".repeat(100_000)]: 1 },
    deep,
  ];
  const begin = performance.now();
  for (const body of odd) {
    const text = JSON.stringify(excerpt(body, { path: "p".repeat(100_000) }));
    assert.ok(text.length < 5_000, `${text.length}`);
  }
  assert.ok(performance.now() - begin < 1_000);
});

test("a field of any name is a field", () => {
  const body = JSON.parse('{"__proto__":{"polluted":1},"constructor":2}') as Json;
  assert.equal(JSON.stringify(excerpt(body).body), '{"__proto__":{"polluted":1},"constructor":2}');
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});
