import assert from "node:assert/strict";
import test from "node:test";
import { component, ids, workspace } from "./support.ts";

const BASE = `receivers:
  http_poll/a: { url: http://base, interval: 10s, headers: { a: x } }
service:
  external_labels: { cluster: eu-1 }
  pipelines:
    a: { receivers: [http_poll/a], exporters: [prometheus] }
exporters:
  prometheus:
`;

test("several --config merge as in the Collector: maps deep, later wins, lists replaced", async () => {
  await using place = await workspace({
    "base.yaml": BASE,
    "over.yaml": `receivers: { http_poll/a: { interval: 5s, headers: { b: y } } }
exporters: { slack: { webhook_url: x } }
service: { pipelines: { a: { exporters: [slack] } } }
`,
  });
  const loaded = await place.load({ sources: [place.path("base.yaml"), place.path("over.yaml")] });
  assert.deepEqual(place.said(loaded.problems), []);
  const { config } = component(loaded, "http_poll/a");
  assert.deepEqual([config["url"], config["interval"], config["headers"]], ["http://base", "5s", { a: "x", b: "y" }]);
  assert.deepEqual(loaded.wanted.pipelines[0]?.exporters, ["slack"]);
  assert.deepEqual(loaded.files.map((f) => f.ofDirectory), [false, false]);
  // What no pipeline uses does not run, and is told.
  assert.deepEqual(ids(loaded), ["slack", "http_poll/a"]);
  assert.deepEqual(place.said(loaded.warnings), ["base.yaml:8:3 exporters.prometheus: exporter prometheus is in no pipeline, so it does not run"]);
});

test("a directory and a file merge too, and each problem names the file that has it", async () => {
  await using place = await workspace({ "d/a.yaml": BASE, "over.yaml": "receivers: { http_poll/a: { interval: soon } }\n" });
  const loader = place.loader({ sources: [place.path("d"), place.path("over.yaml")] });
  const loaded = await loader.load();
  assert.deepEqual(place.said(loaded.problems), [
    'over.yaml:1:39 receivers.http_poll/a.interval: "soon" is not a duration; allowed: a number with a unit, such as 500ms, 30s, 30m, 1h30m or 7d',
  ]);
  // The file of the directory runs on without it.
  assert.equal(component(loaded, "http_poll/a").config["interval"], "10s");
});

test("--set comes last; its value is YAML, and a dot of a key is escaped", async () => {
  await using place = await workspace({ "base.yaml": BASE.replaceAll("http_poll/a", "http_poll/a.b") });
  const loaded = await place.load({ set: ["receivers.http_poll/a\\.b.interval=1m", "receivers.http_poll/a\\.b.retries=7", "service.log.level=${env:LEVEL}"], env: { LEVEL: "debug" } });
  assert.deepEqual(place.said(loaded.problems), []);
  const { config } = component(loaded, "http_poll/a.b");
  assert.deepEqual([config["interval"], config["retries"], loaded.wanted.service.log.level], ["1m", 7, "debug"]);
});

test("a wrong --set is a problem of its own", async () => {
  await using place = await workspace({ "base.yaml": BASE });
  const loaded = await place.load({ set: ["nonsense", "receivers.http_poll/a.interval=soon"] });
  assert.deepEqual(place.said(loaded.problems), ["--set:1:1 : must have the form key.key=value"]);
  const other = await place.load({ set: ["service.log.level=info", "receivers.http_poll/a.interval=soon"] });
  assert.match(place.said(other.problems).join(), /^--set:2:1 receivers\.http_poll\/a\.interval: "soon" is not a duration/);
});

test("a source that is not there is a problem, not a crash", async () => {
  await using place = await workspace();
  const loaded = await place.load({ sources: [place.path("none.yaml")] });
  assert.deepEqual(place.said(loaded.problems), ["none.yaml:1:1 : cannot be read: there is no such file"]);
  assert.deepEqual([loaded.wanted.components, loaded.files[0]?.status], [[], "rejected"]);
});

test("what is of no regular kind is not read: a device would never end", { timeout: 5_000 }, async () => {
  await using place = await workspace();
  const loaded = await place.load({ sources: ["/dev/zero"] });
  assert.deepEqual(place.said(loaded.problems), ["/dev/zero:1:1 : is not a regular file"]);
});
