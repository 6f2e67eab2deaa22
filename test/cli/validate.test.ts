import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { folderWith, said, sojourn } from "./spawn.ts";

const GOOD = `monitors:
  order:
    from: { webhook: { listen: 127.0.0.1:0, path: /orders } }
    id: body.id
    state: body.status
    notify: { console: {} }
`;

const BAD = `receivers:
  http_poll/orders: { url: "http://127.0.0.1:9/", intervall: 10s }
  webhook/orders: { listen: nowhere, path: /orders }
processors:
  track/order: { type: order, id: body.id, state: boddy.status }
exporters:
  pagerduty: {}
service:
  pipelines:
    orders:
      receivers: [http_poll/orders, webhook/order]
      processors: [track/order]
      exporters: [pagerduty]
`;

test("what is right is said in one line, and ends with 0", async () => {
  await using folder = await folderWith({ "agent.yaml": GOOD });
  const ok = { code: 0, out: "ok: 1 file, 1 pipeline, 3 components\n", err: "" };
  assert.deepEqual(await sojourn(["validate", "--config", "agent.yaml"], { cwd: folder.path }), ok);
  assert.deepEqual(await said(["validate", join(folder.path, "agent.yaml")]), ok);
  assert.deepEqual(await said(["validate", "-c", folder.path]), ok);
});

test("every problem is said at once, each as file:line:column path: message, with what was meant, and ends with 78", async () => {
  await using folder = await folderWith({ "agent.yaml": BAD });
  const file = join(folder.path, "agent.yaml");
  const { code, out, err } = await said(["validate", "--config", file]);
  assert.deepEqual([code, out], [78, ""]);
  const lines = err.trimEnd().split("\n");
  assert.match(lines.pop()!, new RegExp(`^${lines.length} problems$`));
  for (const line of lines) assert.match(line.slice(file.length), /^:\d+:\d+ [a-z_]+[^ ]*: \S/, line);
  const expected: readonly RegExp[] = [
    /:2:\d+ receivers\.http_poll\/orders\.intervall: .*did you mean interval\?/,
    /:3:\d+ receivers\.webhook\/orders\.listen: /,
    /:5:\d+ processors\.track\/order\.state: .*boddy/,
    /:7:\d+ exporters\.pagerduty.*: .*routing_key/,
    /:11:\d+ service\.pipelines\.orders\.receivers\[1\]: .*webhook\/order.*webhook\/orders/,
  ];
  for (const pattern of expected) assert.ok(lines.some((line) => pattern.test(line)), `${pattern} is not in:\n${err}`);
  assert.equal(lines.length, expected.length, err);
  assert.equal((await sojourn(["validate", "--config", file])).code, 78);
});

test("what only creating a component shows is said at its place, and ends with 78", async () => {
  const filters = GOOD.replace("    id:", "    processors: { filter: { keep: \"true\", drop: \"true\" } }\n    id:");
  await using folder = await folderWith({ "agent.yaml": filters });
  const { code, err } = await said(["validate", join(folder.path, "agent.yaml")]);
  assert.equal(code, 78);
  assert.match(err, /agent\.yaml:4:\d+ monitors\.order\.processors.*drop: .*exclude each other/);
});

test("every rule that is wrong is said at once, each at its place; one that could never fire is wrong, too", async () => {
  const rules = `    rules:
      - { alert: A, expr: body.amount > 1 }
      - { alert: B, expr: self.state == "x" }
      - { alert: C, absent_for: 0s }
      - { alert: D, expect: { ids: [x], schedule: { cron: "61 * * * *" } } }
      - { alert: E, window: { count: true, over: 5m }, expr: value > 2 * earlier }
      - { alert: F, aggregate: { count: true }, expr: value > 2, clear: value < earlier }
      - { alert: B, expr: self.state == "y" }
`;
  await using folder = await folderWith({ "agent.yaml": GOOD + rules });
  const file = join(folder.path, "agent.yaml");
  const { code, err } = await said(["validate", file]);
  assert.equal(code, 78);
  const lines = err.trimEnd().split("\n").map((line) => line.replace(file, ""));
  assert.match(lines.pop()!, /^6 problems$/);
  const expected: readonly RegExp[] = [
    /^:8:\d+ monitors\.order\.rules\[0\]\.expr: body is not known here; known here: self, now/,
    /^:10:\d+ monitors\.order\.rules\[2\]\.absent_for: is too short/,
    /^:11:\d+ monitors\.order\.rules\[3\]\.expect\.schedule\.cron: is no schedule/,
    /^:12:\d+ monitors\.order\.rules\[4\]\.expr: reads earlier, but nothing says how much earlier; allowed with `window: \{ earlier: 10m \}`/,
    /^:13:\d+ monitors\.order\.rules\[5\]\.clear: reads earlier/,
    /^:14:\d+ monitors\.order\.rules\[6\]\.alert: rule "B" is there twice/,
  ];
  assert.equal(lines.length, expected.length, err);
  expected.forEach((pattern, i) => assert.match(lines[i]!, pattern));
});

test("a percentile that there is not, and half a key, are told what there is", async () => {
  const rules = `    rules:
      - { alert: A, window: { p200: body.x, over: 5m }, expr: value > 1 }
      - { alert: B, expr: self.state == "x", keep_firing: 5m }
`;
  await using folder = await folderWith({ "agent.yaml": GOOD + rules });
  const { err } = await said(["validate", join(folder.path, "agent.yaml")]);
  assert.match(err, /window\.p200: is not known here; allowed: count, .*p50 … p99/);
  assert.match(err, /keep_firing: is not known here; did you mean keep_firing_for\?/);
});

test("two files of a folder that define one id differently are both named", async () => {
  const other = "exporters:\n  console: { format: json }\n";
  await using folder = await folderWith({ "a.yaml": other, "b.yaml": other.replace("json", "pretty") });
  const { code, err } = await said(["validate", folder.path]);
  assert.equal(code, 78);
  assert.match(err, /b\.yaml:2:\d+ .*a\.yaml:2/);
});

test("a path that is not there, and one that is no configuration, are problems like others", async () => {
  await using folder = await folderWith({ "agent.yaml": "just text" });
  for (const name of ["nowhere.yaml", "agent.yaml"]) {
    const { code, out, err } = await said(["validate", join(folder.path, name)]);
    assert.deepEqual([code, out], [78, ""]);
    assert.ok(err.startsWith(join(folder.path, name)), err);
  }
});

test("an unset variable is a problem, at its place", async () => {
  await using folder = await folderWith({ "agent.yaml": GOOD.replace("/orders", '"${env:SOJOURN_TEST_UNSET}"') });
  const { code, err } = await said(["validate", join(folder.path, "agent.yaml")]);
  assert.equal(code, 78);
  assert.match(err, /agent\.yaml:3:\d+ monitors\.order\.from\.webhook\.path: .*SOJOURN_TEST_UNSET/);
});

test("--set comes after all files, and is blamed by its own name", async () => {
  await using folder = await folderWith({ "agent.yaml": GOOD.replace("path: /orders", "path: orders") });
  const file = join(folder.path, "agent.yaml");
  assert.equal((await said(["validate", file])).code, 78);
  assert.equal((await said(["validate", file, "--set", "monitors.order.from.webhook.path=/x"])).code, 0);
  const { code, err } = await said(["validate", file, "--set", "monitors.order.from.webhook.path=x"]);
  assert.equal(code, 78);
  assert.match(err, /--set/);
});

test("a folder's other files are left alone", async () => {
  await using folder = await folderWith({ "agent.yml": GOOD, "notes.txt": "no: [yaml" });
  await mkdir(join(folder.path, "inner.d"));
  await writeFile(join(folder.path, "inner.d", "x.yaml"), "nonsense");
  assert.deepEqual((await said(["validate", folder.path])).code, 0);
});
