import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";
import { component, problemsOf, workspace } from "./support.ts";

const wrap = (config: string): string => `receivers:\n  http_poll/a: ${config}\nservice: { pipelines: { a: { receivers: [http_poll/a] } } }\n`;

async function configOf(config: string, env: Readonly<Record<string, string>> = {}): Promise<Record<string, unknown>> {
  await using place = await workspace({ "a.yaml": wrap(config) });
  const loaded = await place.load({ env });
  assert.deepEqual(place.said(loaded.problems), []);
  return component(loaded, "http_poll/a").config;
}

test("variables are filled in wherever a text is", async () => {
  const config = await configOf('{ urls: ["${env:A}/x", "${A}${B}", "${env:C:-http://default}", "${C:-${B:-x}y}", "$${A} $5 $$$$"], headers: { k: "${B}" } }', { A: "http://a", B: "b" });
  assert.deepEqual(config["urls"], ["http://a/x", "http://ab", "http://default", "by", "${A} $5 $$"]);
  assert.deepEqual(config["headers"], { k: "b" });
});

test("what a variable holds is never interpolated or parsed itself", async () => {
  const config = await configOf('{ url: "${A}", headers: { "${A}": x } }', { A: "${env:B} {a: [b]}\n- *x" });
  assert.equal(config["url"], "${env:B} {a: [b]}\n- *x");
  // Keys are not interpolated.
  assert.deepEqual(config["headers"], { "${A}": "x" });
});

test("a value becomes a number or boolean only where the schema asks for one", async () => {
  const config = await configOf('{ url: "${N}", retries: "${N}", verbose: "${T}", method: "${M:-POST}", headers: { a: "${T}", b: "${N}" } }', { N: "7", T: "true" });
  assert.deepEqual([config["url"], config["retries"], config["verbose"], config["method"], config["headers"]], ["7", 7, true, "POST", { a: "true", b: "7" }]);
  assert.deepEqual(await problemsOf(wrap('{ url: x, retries: "7" }')), ["a.yaml:2:35 receivers.http_poll/a.retries: must be a whole number, not a text; leave out its quotes"]);
  assert.deepEqual(await problemsOf(wrap('{ url: x, retries: "${N}" }'), { N: "seven" }), ["a.yaml:2:35 receivers.http_poll/a.retries: must be a whole number, not a text"]);
});

test("an empty variable is set; an unset one without default is an error at its place", async () => {
  assert.equal((await configOf('{ url: "x${A:-y}" }', { A: "" }))["url"], "x");
  assert.deepEqual(await problemsOf(wrap('{ url: "http://${env:SHOP}/x" }')), [
    "a.yaml:2:31 receivers.http_poll/a.url: the environment variable SHOP is not set; set it, or give a default: ${env:SHOP:-default}",
  ]);
});

test("every mistake in an interpolation is told", async () => {
  assert.deepEqual(await problemsOf(wrap('{ urls: ["${x", "${http://x}", "${}", "${file:}", "${file:none}"] }')), [
    "a.yaml:2:26 receivers.http_poll/a.urls[0]: the ${ is not closed; write $${ where a literal ${ is meant",
    "a.yaml:2:33 receivers.http_poll/a.urls[1]: ${http:…} is not known; allowed: ${env:NAME}, ${NAME}, ${env:NAME:-default}, ${file:/path}",
    "a.yaml:2:48 receivers.http_poll/a.urls[2]: the name of a variable has letters, digits and _ only; write $${ where a literal ${ is meant",
    "a.yaml:2:55 receivers.http_poll/a.urls[3]: ${file:} names no file",
    "a.yaml:2:67 receivers.http_poll/a.urls[4]: ${file:none} cannot be read: there is no such file",
  ]);
});

test("a file is read relative to the configuration, its last line end taken off, anew at each load", async () => {
  await using place = await workspace({ "a.yaml": wrap('{ url: "${file:secret/url}" }'), "secret/url": "http://a\n\r\n" });
  const loader = place.loader();
  assert.equal(component(await loader.load(), "http_poll/a").config["url"], "http://a\n");
  await place.write("secret/url", "http://b");
  const loaded = await loader.load();
  assert.deepEqual([component(loaded, "http_poll/a").config["url"], loaded.changed], ["http://b", true]);
});

test("a file that is too large, endless, a pipe or no text is refused in bounded time", { timeout: 10_000 }, async () => {
  await using place = await workspace({ large: Buffer.alloc(64 * 1024 + 1, "x"), binary: Buffer.from([0xff, 0xfe, 0xfd]), nul: "a\0b" });
  execFileSync("mkfifo", [place.path("pipe")]);
  await place.write("a.yaml", wrap('{ urls: ["${file:large}", "${file:/dev/zero}", "${file:pipe}", "${file:binary}", "${file:nul}", "${file:.}"] }'));
  const said = place.said((await place.load()).problems).map((text) => text.replace(/^.*: \$/, "$"));
  assert.deepEqual(said, [
    "${file:large} is larger than 64 KiB",
    "${file:/dev/zero} is not a regular file",
    "${file:pipe} is not a regular file",
    "${file:binary} is not UTF-8",
    "${file:nul} holds a NUL character",
    "${file:.} is not a regular file",
  ]);
});

test("inherited properties are no variables", async () => {
  assert.match((await problemsOf(wrap('{ url: "${env:constructor}" }')))[0]!, /the environment variable constructor is not set/);
});
