/**
 * Writes what is derived from the code: the reference (docs/reference), from the components' schemas and the catalogue
 * of metrics, and the JSON Schema for editors (docs/schema). `--check` writes nothing and fails when a file is not fresh.
 * Usage: node scripts/generate.ts [--check] [folder, default: this clone]
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { components } from "../src/components.ts";
import { configSchema } from "../src/config/schema.ts";
import { componentPage, indexPage, metricsPage, servicePage, testsPage } from "./generate/pages.ts";

const [folder = join(import.meta.dirname, "..")] = process.argv.slice(2).filter((arg) => arg !== "--check");
const root = resolve(folder);
// Nothing else lives there: what is not generated any more is stale.
const GENERATED = ["docs/reference", "docs/schema"];

const wanted = new Map<string, string>([
  ...components.map((definition) => [`docs/reference/${definition.kind}_${definition.type}.md`, componentPage(definition)] as const),
  ["docs/reference/README.md", indexPage(components)],
  ["docs/reference/service.md", servicePage()],
  ["docs/reference/tests.md", testsPage()],
  ["docs/reference/metrics.md", metricsPage()],
  ["docs/schema/sojourn.schema.json", `${JSON.stringify(configSchema(components), undefined, 2)}\n`],
]);

const present = GENERATED.flatMap((path) => globSync(`${path}/**/*.*`, { cwd: root })).map((file) => file.replaceAll("\\", "/"));
const stale = [
  ...[...wanted].filter(([file, text]) => !existsSync(join(root, file)) || readFileSync(join(root, file), "utf8") !== text).map(([file]) => file),
  ...present.filter((file) => !wanted.has(file)),
].toSorted();

if (process.argv.includes("--check")) {
  for (const file of stale) process.stderr.write(`${file} is not fresh\n`);
  if (stale.length > 0) process.stderr.write("Run: npm run generate\n");
  else process.stdout.write("everything is fresh\n");
  process.exitCode = stale.length > 0 ? 1 : 0;
} else {
  for (const file of stale) {
    const text = wanted.get(file);
    if (text === undefined) rmSync(join(root, file));
    else {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
  }
  process.stdout.write(`${stale.length === 0 ? "everything is fresh" : stale.map((file) => `wrote ${file}`).join("\n")}\n`);
}
