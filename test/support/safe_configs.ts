import type { Json } from "../../src/sdk/observation.ts";

/** Where a configuration may reach. */
export interface Surroundings {
  /** `http://127.0.0.1:port`: nobody listens there, or somebody who must not be trusted. */
  readonly origin: string;
  /** A folder that may be written. */
  readonly folder: string;
}

/** Stands in for every secret. As long as a PagerDuty key, since nothing shorter is one. */
export const SECRET = "PlantedSecret0123456789abcdefghi";

const url = (origin: string): URL => new URL(origin);

/**
 * Configurations that can be started anywhere: no fixed port, nothing beyond this machine. Together they give every secret
 * of the component's schema; the conformance test says which one is missing.
 */
export const safeConfigs: Readonly<Record<string, (at: Surroundings) => readonly Json[]>> = {
  "receiver cdc": ({ origin }) => [
    { url: `postgres://u:${SECRET}@${url(origin).host}/shop`, tables: ["orders", "audit.log"], max_slot_lag: "1GiB", row_filters: { orders: "id > 0" } },
  ],
  "receiver http_poll": ({ origin }) => [
    { url: `${origin}/orders?key=${SECRET}`, interval: "1s", headers: { "x-api-key": SECRET }, auth: { basic: { username: "u", password: SECRET } }, each: "body.orders" },
    { urls: [`http://user:${SECRET}@${url(origin).host}/a`, `${origin}/b`], interval: "1s", timeout: "1s" },
    { url: `${origin}/orders`, interval: "1s", method: "POST", body: "{}", auth: { bearer: { token: SECRET } } },
  ],
  "receiver kafka": ({ origin }) => [
    { brokers: [url(origin).host], topics: ["orders"], initial_offset: "earliest", sasl: { mechanism: "PLAIN", username: "u", password: SECRET } },
    { brokers: [url(origin).host], topics: ["/^shop/"], partitions: [0], group_id: "g", tls: {}, sasl: { mechanism: "OAUTHBEARER", token: SECRET } },
    { brokers: [url(origin).host], topics: ["orders"], encoding: "avro", schema_registry: { url: origin, auth: { basic: { username: "u", password: SECRET } } } },
    { brokers: [url(origin).host], topics: ["orders"], encoding: "protobuf", schema_registry: { url: origin, auth: { bearer: { token: SECRET } } } },
  ],
  "receiver log_tail": ({ folder }) => [{ include: [`${folder}/*.log`], start_at: "beginning" }],
  "receiver sql_poll": ({ origin, folder }) => [
    { url: `postgres://u:${SECRET}@${url(origin).host}/shop`, query: "SELECT 1 AS id", interval: "1s", timeout: "1s" },
    { url: `mysql://u:${SECRET}@${url(origin).host}/shop`, query: "SELECT 1 AS id", interval: "1s", timeout: "1s", tracking_column: "id" },
    { url: `sqlite:${folder}/none.db`, query: "SELECT 1 AS id", interval: "1s", missing: "delete", key: ["id"] },
  ],
  "receiver webhook": () => [
    { listen: "127.0.0.1:0", path: "/hook", signature: { scheme: "hmac", header: "x-signature", secrets: [SECRET] } },
    { listen: "127.0.0.1:0", path: "/hook", signature: { scheme: "stripe", secrets: [SECRET, `${SECRET}2`] } },
    { listen: "127.0.0.1:0", path: "/open" },
  ],
  "processor filter": () => [{ keep: "body.id != 'o0'" }],
  "processor metrics": () => [{ metrics: [{ name: "orders_seen_total", type: "counter" }, { name: "order_amount", type: "histogram", value: "body.amount", durable: false }] }],
  "processor parse": () => [{ format: "json" }],
  "processor threshold": () => [{ rules: [{ alert: "OrderTooLarge", expr: "self.amount > 10" }] }],
  "processor track": () => [{ type: "order", id: "body.id", state: "body.status", states: { failed: { alert: true } } }],
  "processor transform": () => [{ set: { "body.seen": "true" } }],
  "exporter alertmanager": ({ origin }) => [
    { urls: [`${origin}/a`, `http://user:${SECRET}@${url(origin).host}/b?key=${SECRET}`], headers: { "x-scope-orgid": SECRET }, timeout: "1s" },
    { urls: [origin], path_prefix: "/alertmanager", auth: { basic: { username: "u", password: SECRET } } },
    { urls: [origin], auth: { bearer: { token: SECRET } }, send_resolved: false },
  ],
  "exporter console": () => [{ format: "json" }],
  "exporter email": ({ origin }) => [{
    host: "127.0.0.1", port: Number(url(origin).port), encryption: "none", username: "u", password: SECRET, from: "sojourn@example.org", to: ["ops@example.org"],
  }],
  "exporter kafka": ({ origin }) => [
    { brokers: [url(origin).host], alerts: { topic: "alerts" }, transitions: { topic: "moves" }, sasl: { mechanism: "SCRAM-SHA-256", username: "u", password: SECRET } },
    { brokers: [url(origin).host], alerts: { topic: "alerts" }, observations: { topic: "seen" }, tls: {}, sasl: { mechanism: "OAUTHBEARER", token: SECRET } },
  ],
  "exporter otlp": ({ origin }) => [
    { endpoint: origin, headers: { "x-api-key": SECRET }, interval: "1s", timeout: "1s" },
    { metrics_endpoint: `http://user:${SECRET}@${url(origin).host}/v1/metrics?key=${SECRET}`, encoding: "json", compression: "none", headers: { authorization: `Bearer ${SECRET}` }, interval: "1s" },
  ],
  "exporter pagerduty": ({ origin }) => [{ routing_key: SECRET, url: `${origin}/v2/enqueue` }],
  "exporter prometheus": () => [{ listen: "127.0.0.1:0" }],
  "exporter slack": ({ origin }) => [
    { webhook_url: `${origin}/services/T0/B0/${SECRET}` },
    { bot_token: SECRET, channel: "#ops", api_url: `${origin}/api` },
  ],
  "exporter webhook": ({ origin }) => [
    { url: `${origin}/hooks/${SECRET}?key=${SECRET}`, headers: { "x-api-key": SECRET }, signing_secret: `whsec_${SECRET}` },
    { url: `http://user:${SECRET}@${url(origin).host}/a`, auth: { basic: { username: "u", password: SECRET } }, body: { text: "{{ value.status }}", token: SECRET } },
    { url: `${origin}/hooks`, auth: { bearer: { token: SECRET } }, body: "{{ value.alerts[0].labels.alertname }}" },
  ],
};
