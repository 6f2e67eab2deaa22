import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fakeSlack } from "../support/fake_slack.ts";
import { exampleFolder, freePort, startExample } from "./support.ts";

const main = fileURLToPath(import.meta.resolve("../../src/main.ts"));
const OFTEN = ["--set", "monitors.order.from.http_poll.interval=50ms"];

test("fraud_slack: the order that turns fraudulent makes one post in Slack, however often it is seen", async (t) => {
  const slack = await fakeSlack();
  t.after(() => slack.close());
  const api = await freePort();
  await using example = await startExample("fraud_slack", { api, args: OFTEN, env: { SLACK_WEBHOOK_URL: slack.url } });

  await example.until("a post", async () => slack.posts[0]);
  const postedAt = Date.now();
  await example.until("ORD-13 seen many times more", async () => {
    const order = (await (await fetch(`http://127.0.0.1:${api}/api/v1/resources/order/ORD-13`)).json()) as { readonly last_seen: string };
    return Date.parse(order.last_seen) > postedAt + 500 ? order : undefined;
  });
  assert.equal(await example.stop(), 0);
  assert.equal(slack.requests, 1);
  assert.deepEqual(slack.refused, []);
  assert.match(slack.posts[0]!.text, /ORD-13 of mallory \(4999 EUR\) is fraudulent/);
  assert.doesNotMatch(example.log + example.out, /hook-secret/);
});

test("fraud_slack: an agent of its own that has nobody to tell does not start", () => {
  const { SLACK_WEBHOOK_URL: _, ...env } = process.env;
  const { status, stderr } = spawnSync(process.execPath, [main, "run", "--config", exampleFolder("fraud_slack/agent.yaml")], { env, encoding: "utf8" });
  assert.equal(status, 78, stderr);
  assert.match(stderr, /agent\.yaml:\d+:\d+ monitors\.order\.notify\.slack\.webhook_url: .*SLACK_WEBHOOK_URL is not set/);
});

test("fraud_slack: without a real Slack the example shows what it would have got", async () => {
  await using example = await startExample("fraud_slack", { args: OFTEN });
  await example.printed(/^demo: Slack got: .*ORD-13 of mallory/m);
});
