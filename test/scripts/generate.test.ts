import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { components } from "../../src/components.ts";
import { CATALOGUE } from "../../src/metrics/catalogue.ts";

const root = join(import.meta.dirname, "..", "..");
const folder = mkdtempSync(join(tmpdir(), "sojourn-generate-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function generate(...args: string[]): { readonly code: number | null; readonly out: string; readonly err: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["scripts/generate.ts", ...args, folder], { cwd: root, encoding: "utf8" });
  return { code: status, out: stdout, err: stderr };
}

test("what is not fresh is listed, with the command that makes it so, and nothing is written", () => {
  assert.equal(generate("--check").code, 1);
  assert.equal(generate().code, 0);
  assert.deepEqual(generate("--check"), { code: 0, out: "everything is fresh\n", err: "" });
  appendFileSync(join(folder, "docs/reference/service.md"), "by hand");
  rmSync(join(folder, "docs/schema/sojourn.schema.json"));
  writeFileSync(join(folder, "docs/reference/receiver_gone.md"), "");
  assert.deepEqual(generate("--check"), {
    code: 1,
    out: "",
    err: ["docs/reference/receiver_gone.md", "docs/reference/service.md", "docs/schema/sojourn.schema.json"].map((file) => `${file} is not fresh\n`).join("") + "Run: npm run generate\n",
  });
  assert.equal(generate().code, 0);
  assert.equal(generate("--check").code, 0);
});

test("every component, every key of it and every metric has its line", () => {
  generate();
  const index = readFileSync(join(folder, "docs/reference/README.md"), "utf8");
  for (const { kind, type, schema } of components) {
    const page = readFileSync(join(folder, `docs/reference/${kind}_${type}.md`), "utf8");
    assert.ok(index.includes(`](${kind}_${type}.md)`), `${type} is not in the index`);
    for (const key of Object.keys((schema as { properties?: object }).properties ?? {})) assert.ok(page.includes(`| \`${key}\` |`), `${type}: ${key} is missing`);
  }
  const metrics = readFileSync(join(folder, "docs/reference/metrics.md"), "utf8");
  for (const { name } of Object.values(CATALOGUE)) assert.ok(metrics.includes(`| \`${name}\` |`), `${name} is missing`);
});

test("tables stay tables, whatever a description holds", () => {
  generate();
  for (const { kind, type } of components) {
    const page = readFileSync(join(folder, `docs/reference/${kind}_${type}.md`), "utf8");
    const rows = page.split("\n").filter((line) => line.startsWith("| "));
    assert.notEqual(rows.length, 0);
    for (const row of rows) assert.equal(row.split(/(?<!\\)\|/).length, 6, row);
  }
});
