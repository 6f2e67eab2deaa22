import assert from "node:assert/strict";
import test from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { componentSchema, configSchema } from "../../src/config/schema.ts";
import { newAjv } from "../../src/config/validator.ts";
import { toJson } from "../../src/config/tree.ts";
import { parseText } from "../../src/config/yaml.ts";
import { definitions } from "./support.ts";

/** As an editor does it: plain 2020-12, nothing of ours. */
function accepts(schema: unknown, yaml: string): boolean {
  const parsed = parseText(yaml, "a.yaml");
  if ("problems" in parsed) throw new Error(JSON.stringify(parsed.problems));
  const ajv = new Ajv2020({ strict: true, strictRequired: false, strictTypes: false, allowUnionTypes: true, validateFormats: false });
  return ajv.validate(schema as object, toJson(parsed.tree));
}

const LONG = `version: 1
receivers: { http_poll/orders: { url: "\${env:X}", interval: 10s, retries: "\${RETRIES}", verbose: true } }
processors: { track/order: { type: order, id: body.id } }
exporters: { prometheus: , slack/ops: { webhook_url: x } }
monitors:
  order: { from: { http_poll: { url: x } }, id: body.id, rules: [{ alert: A, expr: "true" }], notify: [slack/ops, { prometheus: {} }] }
service: { api: { listen: "127.0.0.1:1" }, pipelines: { p: { receivers: [http_poll/orders], processors: [{ filter: { keep: "true" } }], exporters: [prometheus] } } }
tests: [{ name: a, steps: [{ advance: 1m }, { expect: { alerts: [] } }] }]
`;

test("the schema for editors takes the long and the short form, and variables in place of numbers", () => {
  const schema = configSchema(definitions);
  assert.equal(accepts(schema, LONG), true);
  for (const wrong of [
    LONG.replace("interval", "intervall"),
    LONG.replace("http_poll/orders: {", "nothing/orders: {"),
    LONG.replace('"${RETRIES}"', '"many"'),
    LONG.replace("id: body.id, rules", "rules"),
    LONG.replace("advance: 1m", "wait: 1m"),
    LONG.replace("version: 1", "version: 2"),
    LONG.replace("from: {", "form: {"),
    `${LONG}more: 1\n`,
  ]) assert.equal(accepts(schema, wrong), false, wrong);
});

test("our own formats and keywords are told in words", () => {
  const text = JSON.stringify(configSchema(definitions));
  assert.doesNotMatch(text, /"expression":|"template":|"format":"(duration|size|address|glob|regex)"/);
  const schema = componentSchema(definitions.find((d) => d.type === "http_poll")!) as { properties: Record<string, { description: string }> };
  assert.equal(schema.properties["each"]?.description, "A list. CEL; reads body, attributes, time, source.");
  assert.match(schema.properties["interval"]!.description, /^How often\. A duration such as /);
});

test("references inside a component's schema still lead somewhere in the whole", () => {
  const schema = { type: "object", additionalProperties: false, properties: { a: { $ref: "#/$defs/a" } }, $defs: { a: { type: "string" } } } as const;
  const definition = { ...definitions[0]!, type: "referring", schema };
  assert.equal(accepts(configSchema([definition]), "receivers: { referring: { a: x } }"), true);
  assert.equal(accepts(configSchema([definition]), "receivers: { referring: { a: [] } }"), false);
});

test("a component's schema with a keyword or format that nobody knows does not compile", () => {
  assert.throws(() => newAjv(true).compile({ type: "string", format: "durration" }), /durration/);
  assert.throws(() => newAjv(true).compile({ type: "string", expresion: [] }), /expresion/);
});
