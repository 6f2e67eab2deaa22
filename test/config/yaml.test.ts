import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { toJson } from "../../src/config/tree.ts";
import { FILE_BYTES_MAX, parseText, parseYaml } from "../../src/config/yaml.ts";
import { workspace } from "./support.ts";

// The machine may be busy with other tests: the bound is what a person would not call hanging.
const BOUND_MS = 5_000;

function said(source: string | Uint8Array): string[] {
  const parsed = typeof source === "string" ? parseText(source, "a.yaml") : parseYaml(source, "a.yaml");
  if ("tree" in parsed) return [];
  return parsed.problems.map((p) => `${p.place.file}:${p.place.line}:${p.place.column} ${p.path}: ${p.message}`);
}

function json(source: string): unknown {
  const parsed = parseText(source, "a.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  return toJson(parsed.tree);
}

function quickly<T>(run: () => T): T {
  const before = performance.now();
  const result = run();
  const tookMs = performance.now() - before;
  assert.ok(tookMs < BOUND_MS, `took ${tookMs} ms`);
  return result;
}

test("an alias bomb is refused before it goes off", () => {
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
  for (let i = 1; i < 12; i++) bomb.push(`${"abcdefghijkl"[i]!}: &${"abcdefghijkl"[i]!} [${`*${"abcdefghijkl"[i - 1]!},`.repeat(10)}]`);
  assert.deepEqual(quickly(() => said(bomb.join("\n"))), ["a.yaml:5:1 e: holds more than 100000 values once its aliases are followed"]);
});

test("a bomb of merge keys is refused too", () => {
  const lines = ["a0: &a0 {x: [1,2,3,4,5,6,7,8,9,0]}"];
  for (let i = 1; i < 30; i++) lines.push(`a${i}: &a${i} {p: *a${i - 1}, q: *a${i - 1}, r: {<<: *a${i - 1}}}`);
  assert.match(quickly(() => said(lines.join("\n"))).join(), /holds more than 100000 values/);
});

test("an alias that contains itself is refused", () => {
  assert.deepEqual(said("a: &x\n  b: *x\n"), ["a.yaml:2:6 a.b: the alias *x contains itself"]);
});

test("an alias without an anchor before it is refused", () => {
  assert.deepEqual(said("a: *x\nb: &x 1\n"), ["a.yaml:1:4 a: the alias *x has no anchor before it"]);
});

test("a key given twice is refused, naming the first", () => {
  assert.deepEqual(said("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n"), ["a.yaml:5:3 b.c: is given twice; first at line 3"]);
});

test("thousands of equal or different keys take no quadratic time", () => {
  quickly(() => said(Array.from({ length: 25_000 }, (_, i) => `k${i}: 1\n`).join("")));
  assert.equal(quickly(() => said("k: 1\n".repeat(20_000))).length, 20);
});

test("control characters are refused where they are", () => {
  assert.deepEqual(said("a: 1\nb: x\0y\n"), ["a.yaml:2:5 : the control character U+0000 is not allowed; is the file damaged?"]);
  assert.deepEqual(said('a: "x\\0y"\n'), ["a.yaml:1:4 a: a text cannot hold a NUL character"]);
});

test("what is no UTF-8 is refused where it begins; a byte order mark is taken off", () => {
  assert.deepEqual(said(Buffer.from("a: 1\nb: \xe9t\xe9\n", "latin1")), ["a.yaml:2:4 : is not UTF-8 from here on; save it as UTF-8"]);
  assert.deepEqual(said(Buffer.from("\ufeffa: 1\n", "utf16le")), ["a.yaml:1:1 : is UTF-16; save it as UTF-8"]);
  assert.deepEqual(said(Buffer.from("\ufeffa: 1\n")), []);
});

test("a file of more than 1 MiB is refused", () => {
  assert.deepEqual(said(Buffer.alloc(FILE_BYTES_MAX + 1, "#")), ["a.yaml:1:1 : is larger than 1 MiB; split it"]);
});

test("several documents in one file are refused", () => {
  assert.deepEqual(said("a: 1\n---\nb: 2\n"), ["a.yaml:2:1 : a file holds one document only; use a file for each"]);
});

test("deep nesting is refused, whatever it is made of", () => {
  const steps = Array.from({ length: 80 }, (_, i) => `${" ".repeat(i)}a:\n`).join("");
  for (const source of ["[".repeat(100_000), "{a: ".repeat(50_000), "- ".repeat(50_000), "? ".repeat(50_000), steps]) {
    assert.match(quickly(() => said(source)).join("\n"), /nested too deeply; at most 64 levels/, source.slice(0, 10));
  }
});

test("a megabyte of anything is answered in bounded time", () => {
  // The slowest of some fifty that were measured.
  for (const unit of ["]", "%a\n", '"']) {
    quickly(() => said(Buffer.from(unit.repeat(Math.floor(FILE_BYTES_MAX / unit.length)))));
  }
});

test("a tab as indentation is named", () => {
  assert.match(said("a:\n\tb: 1\n")[0]!, /^a\.yaml:2:1 : a tab cannot indent; use spaces$/);
});

test("the key __proto__ is refused everywhere", () => {
  assert.deepEqual(said("a:\n  __proto__: { polluted: true }\n"), ["a.yaml:2:3 a: the key __proto__ is not allowed"]);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test("a key that is no text is refused, one that looks like a number is text", () => {
  assert.deepEqual(said("? [a]\n: 1\n"), ["a.yaml:1:3 : a key must be a text, not a map, list or alias; a text that begins with { needs quotes"]);
  assert.deepEqual(json("200: a\ntrue: b\n0x10: c\n"), { "200": "a", true: "b", "0x10": "c" });
});

test("yes, no, on and off are text, as in YAML 1.2", () => {
  assert.deepEqual(json("[yes, no, on, off, true, 0o17, 1e3, ~]"), ["yes", "no", "on", "off", true, 15, 1000, null]);
  assert.match(said("%YAML 1.1\n---\na: yes\n")[0]!, /only YAML 1\.2 is read/);
});

test("merge keys work: what is written wins over what is merged, the earlier over the later", () => {
  assert.deepEqual(json("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 0}\n"), {
    x: { a: 1, b: 1 },
    y: { b: 2, c: 2 },
    z: { a: 0, b: 1, c: 2 },
  });
  assert.deepEqual(said("a: {<<: 1}\n"), ["a.yaml:1:5 a.<<: merges maps only; give it a map, an alias of one, or a list of these"]);
});

test("a number that cannot be held is refused rather than rounded", () => {
  assert.deepEqual(said("channel: 12345678901234567890\n"), ["a.yaml:1:10 channel: is too large to be held exactly; put it in quotes to keep it as text"]);
  assert.deepEqual(said("a: .inf\n"), ["a.yaml:1:4 a: is not a finite number"]);
});

test("unknown tags are refused", () => {
  assert.deepEqual(said("a: !secret x\n"), ["a.yaml:1:4 : this tag is not supported"]);
  assert.deepEqual(said("a: !!binary aGk=\n"), ["a.yaml:1:13 a: this kind of value is not supported"]);
});

test("an empty file is an empty configuration", () => {
  assert.deepEqual([json(""), json("# nothing\n"), json("---\n")], [{}, {}, {}]);
});

test("no message about syntax repeats the source, which may hold a secret", () => {
  for (const source of ['a: "hunter2" "hunter2"', "a: 'hunter2' x: hunter2", "hunter2: - hunter2: [", "a: @hunter2", 'a: "\\qhunter2"', "a: hunter2: hunter2"]) {
    const text = said(source).join("\n");
    assert.notEqual(text, "", source);
    assert.doesNotMatch(text, /hunter2/);
  }
});

const GOOD = `monitors:
  order:
    from: { http_poll: { url: http://shop.test, interval: 10s } }
    id: body.id
    states: { pending: { stuck_after: 30m } }
    rules: [{ alert: A, expr: self.state == "x" }]
    notify: { slack: { webhook_url: x } }
service: { pipelines: { p: { receivers: [http_poll/order] } } }
`;

test("loading never throws, whatever the bytes", async () => {
  await using place = await workspace();
  const loader = place.loader();
  const mutated = fc.tuple(fc.nat(GOOD.length), fc.nat(20), fc.constantFrom("", "\0", "[", "{", "&a ", "*a", "- ", ": ", "\n", "<<: ", "${", "${file:/dev/zero}", "null", "__proto__: ", "\t", "'", '"', "? ", "!!x ", "1", "[[{}]]"));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.array(mutated, { minLength: 1, maxLength: 4 })), async (input) => {
      let content: string | Uint8Array = GOOD;
      if (input instanceof Uint8Array) content = input;
      else for (const [at, length, text] of input) content = `${content.slice(0, at)}${text}${content.slice(at + length)}`;
      await place.write("a.yaml", content);
      const loaded = await loader.load();
      for (const { place: at, message } of loaded.problems) {
        assert.ok(at.line >= 1 && at.column >= 1 && at.file !== "", JSON.stringify(at));
        assert.notEqual(message, "");
      }
    }),
    { numRuns: 100 },
  );
});
