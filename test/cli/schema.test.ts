import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { components } from "../../src/components.ts";
import { said, sojourn } from "./spawn.ts";

const root = join(import.meta.dirname, "..", "..");
const strict = { strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true, formats: { "date-time": true } } as const;

test("schema prints what docs/schema holds, and any JSON Schema validator takes it", async () => {
  const { code, out, err } = await sojourn(["schema"]);
  assert.deepEqual([code, err], [0, ""]);
  assert.equal(out, readFileSync(join(root, "docs", "schema", "sojourn.schema.json"), "utf8"), "run: npm run generate");
  const validate = new Ajv2020(strict).compile(JSON.parse(out) as object);
  assert.equal(validate({ receivers: { webhook: { listen: ":80", path: "/" } }, service: { pipelines: { p: { receivers: ["webhook"], exporters: [{ console: {} }] } } } }), true);
  assert.equal(validate({ receivers: { webhok: {} } }), false);
  assert.equal(validate({ receivers: { "webhook/a": { listen: ":80", path: "/", in_flight_max: "many" } } }), false);
  assert.equal(validate({ receivers: { "webhook/a": { listen: ":80", path: "/", in_flight_max: "${env:MANY}" } } }), true);
});

test("an editor accepts what the examples hold", async () => {
  const validate = new Ajv2020(strict).compile(JSON.parse((await said(["schema"])).out) as object);
  for (const { kind, type, schema } of components) {
    for (const example of (schema as { examples?: object[] }).examples ?? []) {
      validate({ [`${kind}s`]: { [type]: example } });
      assert.deepEqual(validate.errors ?? [], [], `${type}: ${JSON.stringify(example)}`);
    }
  }
  assert.equal(validate(parse(readFileSync(join(root, "examples", "quickstart", "agent.yaml"), "utf8"))), true, JSON.stringify(validate.errors));
});

test("schema --component prints that of one, with its examples", async () => {
  for (const { kind, type, summary, schema } of components) {
    const alone = components.filter((other) => other.type === type).length === 1;
    for (const name of [`${kind}/${type}`, ...(alone ? [type] : [])]) {
      const { code, out } = await said(["schema", "--component", name]);
      assert.equal(code, 0);
      const shown = JSON.parse(out) as { title: string; description: string; examples: unknown };
      assert.deepEqual([shown.title, shown.description, shown.examples], [`${kind} ${type}`, summary, (schema as { examples?: unknown }).examples]);
      new Ajv2020(strict).compile(shown);
    }
  }
});

test("schema --component says which there are, where a name is none or two", async () => {
  const { code, err } = await said(["schema", "--component", "webhook"]);
  assert.deepEqual([code, err.split("\n")[0]], [2, 'sojourn: "webhook" is several components; say which: receiver/webhook or exporter/webhook']);
  assert.match((await said(["schema", "--component", "exporter/webhok"])).err, /did you mean exporter\/webhook\?/);
  assert.match((await said(["schema", "--component", "webhok"])).err, /did you mean webhook\?/);
});
