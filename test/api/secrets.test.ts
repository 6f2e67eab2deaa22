import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { components } from "../../src/components.ts";
import { realClock } from "../../src/sdk/clock.ts";
import { observation } from "../../src/sdk/observation.ts";
import { until } from "../support/waiting.ts";
import { API, served, type Served } from "./support.ts";

const MARK = "hunter2";

/** What stands for the n-th secret: 32 characters, for PagerDuty wants that many. */
const secret = (n: number): string => `${MARK}x${String(n).padStart(24, "0")}`;

// Port 1 answers nobody, so that errors are there to be shown as well.
const YAML = `
receivers:
  http_poll/basic:
    url: "http://user:${secret(1)}@127.0.0.1:1/orders?token=${secret(2)}&page=1#t=${MARK}"
    headers: { x-custom: "${secret(3)}" }
    auth: { basic: { username: shop, password: "${secret(4)}" } }
    interval: 15ms
    timeout: 1s
    jitter: 1ms
  http_poll/bearer: { urls: ["http://127.0.0.1:1/a?key=\${env:KEY}"], auth: { bearer: { token: "${secret(5)}" } } }
  webhook/orders:
    listen: "${API}"
    path: /hooks/orders
    signature: { scheme: hmac, header: x-signature, secrets: ["${secret(6)}", "\${env:HOOK}"] }
  cdc/postgres: { url: "postgres://user:${secret(35)}@127.0.0.1:1/shop", tables: [orders] }
  cdc/mysql: { url: "mysql://user:${secret(36)}@127.0.0.1:1/shop", tables: [orders] }
  sql_poll: { url: "postgres://user:${secret(37)}@127.0.0.1:1/shop", query: SELECT 1, interval: 1s }
  kafka/plain:
    brokers: ["127.0.0.1:1"]
    topics: [orders]
    group_id: sojourn
    sasl: { mechanism: PLAIN, username: u, password: "${secret(38)}" }
    encoding: avro
    schema_registry: { url: "http://user:${secret(39)}@127.0.0.1:1/?t=${secret(40)}", auth: { basic: { username: u, password: "${secret(41)}" } } }
  kafka/token:
    brokers: ["127.0.0.1:1"]
    topics: [orders]
    group_id: sojourn
    sasl: { mechanism: OAUTHBEARER, token: "${secret(42)}" }
    encoding: avro
    schema_registry: { url: "http://127.0.0.1:1/", auth: { bearer: { token: "${secret(43)}" } } }
processors:
  track/order: { type: order, id: body.id, state: body.status, on_error: dead_letter, states: { failed: { alert: true } } }
exporters:
  slack/ops: { webhook_url: "http://user:${secret(7)}@127.0.0.1:1/services/${secret(8)}?t=${secret(9)}" }
  pagerduty/ops: { routing_key: "${secret(10)}", url: "http://user:${secret(11)}@127.0.0.1:1/v2/enqueue?k=${secret(12)}" }
  otlp: { endpoint: "http://user:${secret(13)}@127.0.0.1:1", headers: { api-key: "${secret(14)}" }, interval: 20ms, timeout: 1s }
  slack/bot: { bot_token: "xoxb-${secret(17)}", channel: ops, api_url: "http://user:${secret(18)}@127.0.0.1:1/api" }
  email: { host: 127.0.0.1, port: 1, from: a@example.com, to: [b@example.com], username: u, password: "${secret(19)}" }
  webhook/out:
    url: "http://user:${secret(20)}@127.0.0.1:1/${secret(21)}?t=${secret(22)}"
    signing_secret: "whsec_${Buffer.from(secret(23)).toString("base64")}"
    headers: { x-key: "${secret(24)}" }
    auth: { bearer: { token: "${secret(25)}" } }
  webhook/basic: { url: "http://127.0.0.1:1/", auth: { basic: { username: u, password: "${secret(26)}" } } }
  alertmanager/a: { urls: ["http://user:${secret(27)}@127.0.0.1:1/?t=${secret(28)}"], headers: { x-key: "${secret(29)}" } }
  alertmanager/b: { urls: ["http://127.0.0.1:1/"], auth: { basic: { username: u, password: "${secret(30)}" } } }
  alertmanager/c: { urls: ["http://127.0.0.1:1/"], auth: { bearer: { token: "${secret(31)}" } } }
  kafka/plain: { brokers: ["127.0.0.1:1"], alerts: { topic: alerts }, sasl: { mechanism: SCRAM-SHA-256, username: u, password: "${secret(44)}" } }
  kafka/token: { brokers: ["127.0.0.1:1"], alerts: { topic: alerts }, sasl: { mechanism: OAUTHBEARER, token: "${secret(45)}" } }
service:
  heartbeat: { url: "http://user:${secret(32)}@127.0.0.1:1/${secret(33)}?t=${secret(34)}", interval: 1s }
  api: { listen: "${API}" }
  pipelines:
    orders:
      receivers: [http_poll/basic, http_poll/bearer, webhook/orders, cdc/postgres, cdc/mysql, sql_poll, kafka/plain, kafka/token]
      processors: [track/order]
      exporters: [slack/ops, pagerduty/ops, otlp, slack/bot, email, webhook/out, webhook/basic, alertmanager/a, alertmanager/b, alertmanager/c, kafka/plain, kafka/token]
`;

/** Every `writeOnly` of the components, by the path of its key. */
const PLANTED = [
  "alertmanager.auth.basic.password", "alertmanager.auth.bearer.token", "alertmanager.headers.*", "cdc.url", "email.password",
  "http_poll.auth.basic.password", "http_poll.auth.bearer.token", "http_poll.headers.*",
  "kafka.sasl.password", "kafka.sasl.password", "kafka.sasl.token", "kafka.sasl.token", "kafka.schema_registry.auth.basic.password",
  "kafka.schema_registry.auth.bearer.token", "otlp.headers.*", "pagerduty.routing_key", "slack.bot_token", "slack.webhook_url", "sql_poll.url",
  "webhook.auth.basic.password", "webhook.auth.bearer.token", "webhook.headers.*",
  "webhook.signature.secrets", "webhook.signing_secret", "webhook.url",
];

function writeOnly(schema: unknown, path: string): string[] {
  if (schema === null || typeof schema !== "object") return [];
  const node = schema as Record<string, unknown>;
  if (node["writeOnly"] === true) return [path];
  const below = Object.entries((node["properties"] ?? {}) as object).flatMap(([key, value]) => writeOnly(value, `${path}.${key}`));
  const branches = ["oneOf", "anyOf", "allOf"].flatMap((key) => ((node[key] ?? []) as unknown[]).flatMap((branch) => writeOnly(branch, path)));
  return [...below, ...branches, ...writeOnly(node["additionalProperties"], `${path}.*`), ...writeOnly(node["items"], path)];
}

async function everything(api: Served): Promise<string> {
  const texts: string[] = [];
  const ask = async (method: string, path: string): Promise<void> => {
    const { text, headers } = await api.ask(method, path);
    texts.push(`${method} ${path}`, JSON.stringify(headers), text);
  };
  const { urls } = (await api.get("/")).body as { urls: string[] };
  for (const line of urls) {
    const [method, url] = line.split(" ") as [string, string];
    if (url.includes("{dedup_key}") || url.includes("{number}") || url.includes("exporters/{id}")) continue;
    await ask(method, url.replace(/\?.*/, "").replace("{type}", "order").replace("{id}", "o1"));
  }
  for (const { dedup_key } of ((await api.get("/api/v1/alerts")).body as { items: { dedup_key: string }[] }).items) await ask("GET", `/api/v1/alerts/${dedup_key}`);
  for (const { number } of ((await api.get("/api/v1/dead_letters")).body as { items: { number: number }[] }).items) await ask("POST", `/api/v1/dead_letters/${number}/redeliver`);
  for (const exporter of ["slack/ops", "slack/bot", "pagerduty/ops", "email", "webhook/out", "alertmanager/a", "kafka/plain"]) await ask("POST", `/api/v1/exporters/${encodeURIComponent(exporter)}/test`);
  return texts.join("\n");
}

test("every secret that a component can have is planted below", () => {
  assert.deepEqual(components.flatMap(({ type, schema }) => writeOnly(schema, type)).sort(), PLANTED);
});

test("no endpoint shows a secret: as configured, when everything fails, and when the file is broken", async () => {
  const env = { KEY: secret(15), HOOK: secret(16) };
  await using api = await served({ clock: realClock, files: { "agent.yaml": YAML }, env });
  assert.deepEqual(api.wanted.rejected, []);
  assert.ok(JSON.stringify(api.wanted.components.map(({ config }) => config)).split(MARK).length > 31, "the secrets arrive");
  const send = (body: object): Promise<void> =>
    api.agent.emit("webhook/orders", [observation(body as never, { time: realClock.now(), source: "webhook/orders" })]);
  await send({ id: "o1", status: "failed" });
  await send({ status: "failed" });
  await until("three failed polls", () => api.agent.receiverStatuses()["http_poll/basic"]!.failing !== null);

  const running = await everything(api);
  for (const there of ["(redacted)", '"order"', "http_poll/basic", "track/order", '"failing":"']) assert.ok(running.includes(there), there);
  assert.ok(!running.includes(MARK), running.slice(running.indexOf(MARK) - 200, running.indexOf(MARK) + 100));

  const broken = YAML.replace("interval: 15ms", "interval: never").replace("webhook_url:", "webhok_url:").replace("scheme: hmac", "scheme: hmc")
    .replace("routing_key: \"", `routing_key: "${MARK}`).replace("token: \"", "tokn: \"").replace("password: \"", `password: [${MARK}], passwrd: "`);
  await writeFile(join(api.directory, "agent.yaml"), broken);
  assert.equal((await api.ask("POST", "/-/reload")).status, 422);
  const rejected = await everything(api);
  for (const there of ['"failure"', "webhok_url", "passwrd", '"result":"rejected"']) assert.ok(rejected.includes(there), there);
  assert.ok(!rejected.includes(MARK), rejected.slice(rejected.indexOf(MARK) - 200, rejected.indexOf(MARK) + 100));

  // Not even YAML any more.
  await writeFile(join(api.directory, "agent.yaml"), YAML.replace("token: \"", "token: \"\"\""));
  assert.equal((await api.ask("POST", "/-/reload")).status, 422);
  const torn = await everything(api);
  assert.ok(torn.includes('"result":"rejected"'));
  assert.ok(!torn.includes(MARK), torn.slice(torn.indexOf(MARK) - 200, torn.indexOf(MARK) + 100));
});
