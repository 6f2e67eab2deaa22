import assert from "node:assert/strict";
import { existsSync, globSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { isBuiltin } from "node:module";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { checkPlan } from "../src/cli/check_plan.ts";
import { components } from "../src/components.ts";
import type { Schema } from "../src/config/schema_walk.ts";
import { newAjv } from "../src/config/validator.ts";
import { problemText } from "../src/pipeline/problems.ts";
import type { AnyDefinition } from "../src/sdk/component.ts";
import type { Json } from "../src/sdk/observation.ts";
import { settled } from "../src/sdk/virtual_clock.ts";
import { safeConfigs } from "./support/safe_configs.ts";
import { nodesOf } from "./support/schema_facts.ts";
import { stage } from "./support/stage.ts";

const root = join(import.meta.dirname, "..");
const nameOf = ({ kind, type }: AnyDefinition): string => `${kind} ${type}`;
const schemaOf = (definition: AnyDefinition): Schema => definition.schema as Schema;
const examplesOf = (definition: AnyDefinition): Json[] => (schemaOf(definition)["examples"] as Json[] | undefined) ?? [];

// Nothing below may touch the folder that the process stands in.
let folder = "";
const home = process.cwd();
before(() => {
  folder = mkdtempSync(join(tmpdir(), "sojourn-conformance-"));
  process.chdir(folder);
});
after(() => {
  process.chdir(home);
  rmSync(folder, { recursive: true, force: true });
});

test("components.ts lists every component file, and nothing twice", () => {
  const files = ["receivers", "processors", "exporters"].flatMap((kind) =>
    globSync("*.ts", { cwd: join(root, kind) }).map((file: string) => `${kind.slice(0, -1)} ${basename(file, ".ts")}`));
  assert.deepEqual(components.map(nameOf).toSorted(), files.toSorted());
});

for (const definition of components) {
  describe(nameOf(definition), () => {
    const { kind, type } = definition;

    test("its type is its file's name, and a test has that name", () => {
      assert.ok(existsSync(join(root, `${kind}s`, `${type}.ts`)), `${kind}s/${type}.ts is missing`);
      const tests = readdirSync(join(root, "test", `${kind}s`)).filter((name) => name.startsWith(type) && name.endsWith(".test.ts"));
      assert.notEqual(tests.length, 0, `test/${kind}s/${type}*.test.ts is missing`);
    });

    test("its schema compiles strictly, takes no unknown key, and describes every key in sentences", () => {
      newAjv(true).compile(schemaOf(definition));
      const sentence = /^\S.*\.$/s;
      assert.match(definition.summary, sentence, "summary");
      for (const { path, schema, named } of nodesOf(schemaOf(definition))) {
        if (named) assert.match(schema.description ?? "", sentence, `description of ${path}`);
        if (schema.properties !== undefined) assert.equal(schema.additionalProperties, false, `${path || "the schema"} takes unknown keys`);
      }
    });

    test("its keys say their units: durations and sizes are text with one, other limits end in _max", () => {
      const breaches: string[] = [];
      for (const { path, schema, named } of nodesOf(schemaOf(definition))) {
        const key = path.split(".").at(-1)!;
        if (!named) continue;
        const timed = /(?:^|_)(?:timeout|interval|ttl|after|for|tolerance|jitter|delay|age|wait)$/.test(key);
        if (timed && schema["format"] !== "duration" && schema["expression"] === undefined) breaches.push(`${path} is no duration`);
        // The Collector's name, and Kafka's: they count observations.
        const counts = (key === "queue_size" && /observations/i.test(schema.description ?? "")) || key === "max_poll_records";
        if (/(?:^|_)(?:size|bytes)(?:$|_)/.test(key) && schema["format"] !== "size" && !counts) breaches.push(`${path} is no size`);
        const numeric = [schema.type].flat().some((of) => of === "integer" || of === "number");
        if (!numeric) continue;
        if (schema["minimum"] === undefined && schema["exclusiveMinimum"] === undefined) breaches.push(`${path} has no minimum`);
        if (!key.endsWith("_max") && !counts && !key.endsWith("_per_minute") && key !== "port" && !key.endsWith("_id") && !/ per second/.test(schema.description ?? "")) breaches.push(`${path} is a number without a unit`);
      }
      assert.deepEqual(breaches, []);
    });

    test("its examples load, and a pipeline can be planned with them", async () => {
      assert.notEqual(examplesOf(definition).length, 0, "there is no example");
      for (const example of examplesOf(definition)) {
        await using on = await stage(definition, example);
        assert.deepEqual([...on.loaded.problems, ...checkPlan(on.loaded.wanted, components)].map(problemText), [], JSON.stringify(example));
      }
    });

    test("create has no side effects, and what was never started can be stopped, twice", async () => {
      for (const config of [...examplesOf(definition), ...safe(definition)]) {
        await using on = await stage(definition, config);
        await settled();
        // The agent's own, whatever is configured; only a tracker needs it.
        on.own.detectionDelay.series();
        const [handles, timers, files] = [openHandles(), on.clock.pending, filesIn(folder, on.folder)];
        const families = on.metrics.read().length;
        const component = on.create();
        assert.deepEqual(openHandles(), handles, "create opened something");
        assert.equal(on.clock.pending, timers, "create armed a timer");
        assert.deepEqual(filesIn(folder, on.folder), files, "create wrote a file");
        assert.equal(on.metrics.read().length, families, "create made a metric series");
        await component.stop?.();
        await component.stop?.();
        assert.deepEqual(openHandles(), handles, "stop opened something");
        assert.equal(on.clock.pending, timers, "stop armed a timer");
      }
    });

    test("nothing stays open after start and stop", async () => {
      for (const config of safe(definition)) {
        await using on = await stage(definition, config);
        const handles = openHandles();
        const timers = on.clock.pending;
        const component = on.create();
        await component.start?.();
        await on.clock.advance(3_000);
        const stopping = component.stop?.();
        await on.clock.advance(60_000);
        await stopping;
        await component.stop?.();
        assert.equal(on.clock.pending, timers, "a timer is armed");
        await eventually(() => assert.deepEqual(leftOpen(handles), [], "still open"));
      }
    });

    test("it imports the sdk, its own folder and its client packages, and loads those only when it starts", () => {
      const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { dependencies: Record<string, string> };
      const everywhere = packagesOfSdk();
      const own = join(root, `${kind}s`, type);
      const files = [`${own}.ts`, ...globSync("**/*.ts", { cwd: own }).map((file) => join(own, file))];
      const breaches: string[] = [];
      for (const file of files) {
        for (const { specifier, eager } of importsOf(readFileSync(file, "utf8"))) {
          const breach = (what: string): void => void breaches.push(`${relative(root, file)} imports ${specifier}: ${what}`);
          if (isBuiltin(specifier)) {
            if (!specifier.startsWith("node:")) breach("write node: before it");
          } else if (specifier.startsWith(".")) {
            const target = join(dirname(file), specifier);
            if (dirname(target) !== join(root, "src", "sdk") && !target.startsWith(`${own}/`)) breach("neither the sdk nor its own folder");
          } else {
            const name = packageOf(specifier);
            if (dependencies[name] === undefined) breach("package.json does not depend on it");
            if (eager && !everywhere.has(name)) breach("import it lazily, in start()");
          }
        }
      }
      assert.deepEqual(breaches, []);
    });
  });
}

function safe(definition: AnyDefinition): readonly Json[] {
  const configs = safeConfigs[nameOf(definition)]?.({ origin: "http://127.0.0.1:9", folder });
  assert.ok(configs, `${nameOf(definition)} needs an entry in test/support/safe_configs.ts`);
  return configs;
}

/** What keeps the process alive, by kind; not what ends with this turn. */
function openHandles(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    if (name !== "Immediate" && name !== "TickObject") counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

function leftOpen(handles: Record<string, number>): string[] {
  return Object.entries(openHandles()).filter(([name, count]) => name !== "Timeout" && count > (handles[name] ?? 0)).map(([name]) => name);
}

function filesIn(...folders: string[]): string[] {
  return folders.flatMap((path) => readdirSync(path, { recursive: true, encoding: "utf8" }));
}

async function eventually(check: () => void): Promise<void> {
  for (let turn = 0; turn < 200; turn++) {
    try {
      return check();
    } catch {
      await sleep(10);
    }
  }
  check();
}

interface Import {
  readonly specifier: string;
  /** It runs when the file is loaded. */
  readonly eager: boolean;
}

function importsOf(source: string): Import[] {
  const found: Import[] = [];
  for (const [, type, specifier] of source.matchAll(/^(?:import|export)\s+(type\s)?[^;"'`]*?from\s+["']([^"']+)["']/gm)) {
    found.push({ specifier: specifier!, eager: type === undefined });
  }
  for (const [, specifier] of source.matchAll(/^import\s+["']([^"']+)["']/gm)) found.push({ specifier: specifier!, eager: true });
  for (const [, specifier] of source.matchAll(/\b(?:import|require)\(\s*["'`]([^"'`]+)["'`]/g)) found.push({ specifier: specifier!, eager: false });
  return found;
}

/** Packages that are loaded whatever is configured. */
function packagesOfSdk(): Set<string> {
  const sdk = join(root, "src", "sdk");
  const imports = globSync("*.ts", { cwd: sdk }).flatMap((file) => importsOf(readFileSync(join(sdk, file), "utf8")));
  return new Set(imports.filter(({ specifier, eager }) => eager && !specifier.startsWith(".")).map(({ specifier }) => packageOf(specifier)));
}

function packageOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}
