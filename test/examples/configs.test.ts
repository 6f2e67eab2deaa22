import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { testCommand } from "../../src/cli/test.ts";
import { checkPlan } from "../../src/cli/check_plan.ts";
import { components } from "../../src/components.ts";
import { loadConfig } from "../../src/config/load.ts";
import { exampleFolder } from "./support.ts";

const env = { SLACK_WEBHOOK_URL: "https://slack.example/services/T0/B0/secret" };
// The quick start has tests of its own.
const names = readdirSync(exampleFolder()).filter((name) => name !== "quickstart" && existsSync(exampleFolder(`${name}/agent.yaml`)));

const NAMES = [
  "order_stuck", "webhook_updates", "order_logs", "fraud_slack", "order_metrics", "order_api", "alertmanager",
  "gaming", "trading", "feature_flags", "payments", "shipment", "nightly_jobs", "iot_fleet", "debezium", "kafka_orders", "mariadb_orders", "postgres_orders", "postgres_poll", "sqlite_poll",
];

test("the examples are all there", () => {
  for (const name of NAMES) {
    assert.ok(names.includes(name), `${name} is in ${names.join(", ")}`);
  }
});

for (const name of names) {
  const folder = exampleFolder(name);
  const options = { sources: [join(folder, "agent.yaml")], set: [], env, definitions: components };

  test(`${name} is valid, without a warning`, async () => {
    const { wanted, problems, warnings } = await loadConfig(options);
    assert.deepEqual([...problems, ...warnings, ...checkPlan(wanted, components)], []);
  });

  test(`${name} keeps what its tests: promise`, async () => {
    const lines: string[] = [];
    const print = (text: string): void => void lines.push(text);
    const code = await testCommand({ ...options, output: { out: print, error: print } });
    assert.equal(code, 0, lines.join("\n"));
    assert.match(lines.at(-1)!, /^\d+ tests?: all ok$/);
  });

  test(`${name} explains itself, and what its README names is there`, () => {
    assert.ok(existsSync(join(folder, "start.ts")), "a start command");
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    assert.match(readme, new RegExp(`^npm run example ${name}$`, "m"));
    assert.match(readme, new RegExp(`bin/sojourn test examples/${name}\\b`));
    for (const [path] of readme.matchAll(/(?<=[ `])(?:examples|bin)\/\w+/g)) assert.ok(existsSync(exampleFolder(`../${path}`)), path);
    for (const [, file] of readme.matchAll(/\]\((?!https:)([^)]+)\)/g)) assert.ok(existsSync(join(folder, file!)), file);
    const { scripts } = JSON.parse(readFileSync(exampleFolder("../package.json"), "utf8")) as { scripts: Record<string, string> };
    for (const [, script] of readme.matchAll(/^npm run (\w+)/gm)) assert.ok(Object.hasOwn(scripts, script!), `npm run ${script}`);
  });
}
