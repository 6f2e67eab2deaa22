import assert from "node:assert/strict";
import { test } from "node:test";
import { cloudEvent } from "../../src/sdk/cloudevents.ts";
import type { Json } from "../../src/sdk/observation.ts";

const EVENT = { specversion: "1.0", id: "A234-1234-1234", source: "https://github.com/cloudevents/spec/pull", type: "com.example.order.paid" };
const ATTRIBUTES = {
  "cloudevents.event_id": "A234-1234-1234", "cloudevents.event_source": "https://github.com/cloudevents/spec/pull",
  "cloudevents.event_type": "com.example.order.paid", "cloudevents.event_spec_version": "1.0",
};

test("a structured event gives its data, its attributes under OpenTelemetry's names, and when it happened", () => {
  const event = { ...EVENT, subject: "123", time: "2018-04-05T17:31:00Z", comexampleextension1: "value", comexampleothervalue: 5, datacontenttype: "application/json", data: { id: "o1" } };
  assert.deepEqual(cloudEvent(event), {
    data: { id: "o1" },
    attributes: {
      ...ATTRIBUTES, "cloudevents.event_subject": "123", "cloudevents.time": "2018-04-05T17:31:00Z",
      "cloudevents.comexampleextension1": "value", "cloudevents.comexampleothervalue": 5, "cloudevents.datacontenttype": "application/json",
    },
    time: Date.UTC(2018, 3, 5, 17, 31),
    traceparent: undefined,
  });
  assert.deepEqual(cloudEvent(EVENT), { data: null, attributes: ATTRIBUTES, time: undefined, traceparent: undefined });
});

test("data in base64 is decoded where its type is JSON or text, and stays where it is neither", () => {
  const data = (datacontenttype: string | undefined, bytes: string | Uint8Array): Json | undefined => {
    const event = cloudEvent({ ...EVENT, ...(datacontenttype === undefined ? {} : { datacontenttype }), data_base64: Buffer.from(bytes).toString("base64") });
    return typeof event === "string" ? event : event.data;
  };
  assert.deepEqual(data(undefined, '{"id":9007199254740993}'), { id: "9007199254740993" });
  assert.deepEqual(data("application/vnd.shop+json", "[1]"), [1]);
  assert.equal(data("text/plain", "héllo"), "héllo");
  assert.equal(data("application/octet-stream", Uint8Array.of(255, 0)), "/wA=");
  assert.match(JSON.stringify(data("application/json", "{")), /no valid base64, UTF-8 or JSON/);
  assert.match(JSON.stringify(data("application/json", Uint8Array.of(255))), /no valid base64, UTF-8 or JSON/);
  assert.match(JSON.stringify(data("application/json", "[".repeat(500) + "]".repeat(500))), /no valid/);
  assert.match(JSON.stringify(cloudEvent({ ...EVENT, data_base64: "!" })), /no valid/);
});

test("in binary mode the headers hold the attributes, of Kafka as of HTTP, and the body is the data", () => {
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const kafka: [string, string][] = [...Object.entries({ ...EVENT, traceparent }).map(([name, value]): [string, string] => [`ce_${name}`, value]), ["content-type", "application/json"]];
  const event = cloudEvent({ specversion: "mine" }, kafka);
  assert.ok(typeof event !== "string");
  assert.deepEqual(event.data, { specversion: "mine" });
  assert.deepEqual(event.attributes, { ...ATTRIBUTES, "cloudevents.traceparent": traceparent });
  assert.equal(event.traceparent, traceparent);
  const http = cloudEvent("text", Object.entries({ ...EVENT, subject: "Euro%20%E2%82%AC", broken: "%zz" }).map(([name, value]) => [`Ce-${name}`, value]));
  assert.ok(typeof http !== "string");
  assert.equal(http.attributes["cloudevents.event_subject"], "Euro €");
  assert.equal(http.attributes["cloudevents.broken"], "%zz");
});

test("what is no CloudEvent is refused with what is missing, and repeats nothing of it", () => {
  assert.equal(cloudEvent({}), "no CloudEvent: specversion is missing");
  for (const name of ["id", "source", "type"]) {
    for (const wrong of [undefined, null, "", 5, {}]) assert.equal(cloudEvent({ ...EVENT, [name]: wrong } as Json), `no CloudEvent: ${name} is missing`);
  }
  for (const version of ["0.3", "2.0", 1, null, {}]) assert.equal(cloudEvent({ ...EVENT, specversion: version } as Json), "no CloudEvent of version 1");
  for (const value of [null, 5, "text", [], [EVENT], true]) assert.equal(cloudEvent(value as Json), "no CloudEvent: specversion is missing");
});

test("names that are no names of attributes are left out, and so are more extensions than anybody means", () => {
  const many = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`x${i}`, "v"]));
  const event = cloudEvent(JSON.parse(JSON.stringify({ ...EVENT, ...many, "a.b": "x", Upper: "x", list: [1] }).replace("}", ',"__proto__":"x"}')) as Json);
  assert.ok(typeof event !== "string");
  assert.equal(Object.keys(event.attributes).length, 4 + 50);
  assert.equal(Object.getPrototypeOf(event.attributes), Object.prototype);
});
