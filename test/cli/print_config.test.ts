import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { folderWith, said, sojourn } from "./spawn.ts";

const SECRET = "PlantedSecret0123456789abcdefghi";

const AGENT = `monitors:
  order:
    from:
      http_poll:
        url: "https://user:${SECRET}@shop.example/orders?key=${SECRET}"
        interval: 10s
        headers: { x-api-key: ${SECRET} }
        auth: { bearer: { token: "\${env:SOJOURN_TEST_TOKEN}" } }
      webhook: { listen: "127.0.0.1:0", path: /orders, signature: { scheme: github, secrets: [${SECRET}] } }
    id: body.id
    state: body.status
    states: { pending: { stuck_after: 30m } }
    rules: [{ alert: OrderTooLarge, expr: self.amount > 10 }]
    attributes: { amount: body.amount }
    notify: [{ slack: { webhook_url: "https://hooks.slack.example/${SECRET}" } }, { pagerduty: { routing_key: ${SECRET} } }]
service:
  external_labels: { cluster: "\${env:SOJOURN_TEST_CLUSTER}" }
`;
const env = { SOJOURN_TEST_TOKEN: `${SECRET}-of-env`, SOJOURN_TEST_CLUSTER: "eu-1" };

test("a monitor is written out with its defaults, variables filled in, and no secret shown", async () => {
  await using folder = await folderWith({ "agent.yaml": AGENT });
  const { code, out, err } = await sojourn(["print-config", "--config", "agent.yaml"], { cwd: folder.path, env });
  assert.deepEqual([code, err], [0, ""]);
  assert.ok(!out.includes(SECRET), out);
  const shown = parse(out) as Record<string, Record<string, Record<string, unknown>>>;
  assert.deepEqual(shown["receivers"]!["http_poll/order"]!["auth"], { bearer: { token: "(redacted)" } });
  assert.equal(shown["receivers"]!["http_poll/order"]!["interval"], "10s");
  assert.equal(shown["receivers"]!["http_poll/order"]!["timeout"], "10s", "a default");
  assert.equal(shown["exporters"]!["pagerduty/order"]!["routing_key"], "(redacted)");
  assert.deepEqual(shown["service"]!["external_labels"], { cluster: "eu-1" });
  assert.deepEqual(shown["service"]!["pipelines"], {
    order: { receivers: ["http_poll/order", "webhook/order"], processors: ["track/order", "threshold/order"], exporters: ["slack/order", "pagerduty/order"] },
  });
});

test("--unredacted shows what runs, and that is the same configuration again", async () => {
  await using folder = await folderWith({ "agent.yaml": AGENT.replace("${env:SOJOURN_TEST_TOKEN}", SECRET).replace("${env:SOJOURN_TEST_CLUSTER}", "eu-1") });
  const first = await said(["print-config", "--unredacted", join(folder.path, "agent.yaml")]);
  assert.ok(first.out.includes(`token: ${SECRET}`));
  await using again = await folderWith({ "agent.yaml": first.out });
  assert.deepEqual(await said(["print-config", "--unredacted", join(again.path, "agent.yaml")]), first);
});

test("what is wrong is said, and ends with 78, without its secrets", async () => {
  await using folder = await folderWith({ "agent.yaml": AGENT.replace("interval: 10s", "interval: soon").replace(`routing_key: ${SECRET}`, `routing_key: ${SECRET}x`) });
  const { code, out, err } = await sojourn(["print-config", "--config", "agent.yaml"], { cwd: folder.path, env });
  assert.equal(code, 78);
  assert.match(err, /agent\.yaml:6:\d+ monitors\.order\.from\.http_poll\.interval: /);
  assert.match(err, /routing_key: /);
  assert.ok(!`${out}${err}`.includes(SECRET), err);
});
