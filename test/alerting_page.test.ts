import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { checkPlan } from "../src/cli/check_plan.ts";
import { cli } from "../src/cli/cli.ts";
import { components } from "../src/components.ts";
import { loadConfig } from "../src/config/load.ts";
import { KIND_KEYS } from "../processors/threshold/schema.ts";
import { folderWith } from "./cli/spawn.ts";

const text = readFileSync(join(import.meta.dirname, "../docs/alerting.md"), "utf8");
const blocks = (language: string): string[] => [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block]) => block!);
const [monitor = "", ...others] = blocks("yaml");
const isRule = (block: string): boolean => block.startsWith("- alert:");
const rules = others.filter(isRule);

async function problemsOf(...files: string[]): Promise<string[]> {
  await using folder = await folderWith(Object.fromEntries(files.map((file, i) => [`${i}.yaml`, file])));
  const { wanted, problems, warnings } = await loadConfig({ sources: files.map((_, i) => join(folder.path, `${i}.yaml`)), set: [], env: {}, definitions: components });
  return [...problems, ...warnings, ...checkPlan(wanted, components)].map(({ message }) => message);
}

const withRule = (rule: string): string => `${monitor}    rules:\n${rule.replaceAll(/^(?=.)/gm, "      ")}`;

test("every rule of the page is valid in its monitor", async () => {
  for (const rule of rules) assert.deepEqual(await problemsOf(withRule(rule)), [], rule);
});

test("the page shows every kind of rule", () => {
  for (const key of KIND_KEYS) assert.ok(rules.some((rule) => new RegExp(`^ {2}${key}:`, "m").test(rule)), `no rule with ${key}`);
});

test("every other block of the page is valid beside its monitor", async () => {
  const rest = others.filter((block) => !isRule(block));
  assert.ok(rest.length >= 2);
  for (const block of rest) assert.deepEqual(await problemsOf(monitor, block), [], block);
});

test("a wrong block would be found", async () => {
  assert.notDeepEqual(await problemsOf(withRule(rules[0]!.replace("self.amount", "self.amont"))), []);
});

test("every command of the page is one of the command line", async () => {
  const commands = [...blocks("sh").flatMap((block) => block.trimEnd().split("\n")), ...[...text.matchAll(/`(sojourn [^`]+)`/g)].map(([, command]) => command!)];
  assert.ok(commands.length > 6);
  for (const command of commands) {
    const [, ...argv] = [...command.matchAll(/"[^"]*"|\S+/g)].map(([word]) => word.replaceAll("\"", ""));
    const error: string[] = [];
    // Nobody answers at port 1: what is typed right gets as far as asking.
    const code = await cli([...argv, "--api", "http://127.0.0.1:1"], components, { out: () => {}, error: (line) => error.push(line) });
    assert.equal(code, argv.join(" ") === "explain" ? 2 : 1, `${command}: ${error.join("\n")}`);
  }
});
