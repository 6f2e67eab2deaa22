import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assemble, type Assembled } from "../../src/cli/assemble.ts";
import { components } from "../../src/components.ts";
import { loadConfig, type Loaded } from "../../src/config/load.ts";
import type { ComponentConfig } from "../../src/config/model.ts";
import { problemText } from "../../src/pipeline/problems.ts";
import type { AnyDefinition, Exporter, Receiver } from "../../src/sdk/component.ts";
import type { Logger } from "../../src/sdk/log.ts";
import type { Json } from "../../src/sdk/observation.ts";
import { virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore } from "../../src/storage/memory_store.ts";

/** Id of the receiver beside the component under test. */
export const FEED = "webhook/feed";

/** An agent around one component: real but for its clock, and with its store in memory. */
export interface Stage extends Assembled, AsyncDisposable {
  readonly clock: VirtualClock;
  readonly loaded: Loaded;
  /** Every line logged, as JSON. */
  readonly log: readonly string[];
  /** A folder of its own, for state and files. */
  readonly folder: string;
  /** Creates the component alone, with the agent's real context. */
  create(): Receiver & Exporter;
}

/** A whole configuration around one component: a receiver that works, resources, and alerts that go to the exporter. */
export function around({ kind, type }: AnyDefinition, config: Json): Record<string, Json> {
  const id = `${type}/under_test`;
  const section = (of: AnyDefinition["kind"], others: Record<string, Json>): Json => ({ ...others, ...(kind === of ? { [id]: config } : {}) });
  const own = (of: AnyDefinition["kind"]): string[] => (kind === of ? [id] : []);
  const tracks = kind === "processor" && type === "track";
  const order = {
    type: "order", id: "body.id", state: "body.status", attributes: { amount: "body.amount", region: "body.region" },
    states: { failed: { alert: { severity: "critical" } } },
  };
  return {
    version: 1,
    receivers: section("receiver", { [FEED]: { listen: "127.0.0.1:0", path: "/feed" } }),
    processors: section("processor", tracks ? {} : { "track/order": order }),
    exporters: section("exporter", {}),
    service: {
      pipelines: {
        main: { receivers: [FEED, ...own("receiver")], processors: [...(tracks ? [] : ["track/order"]), ...own("processor")], exporters: own("exporter") },
      },
    },
  };
}

/** Loads what `around` gives; nothing is started. Variables that it names are given some text. */
export async function stage(definition: AnyDefinition, config: Json): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), "sojourn-stage-"));
  const text = JSON.stringify(around(definition, config), undefined, 2);
  const file = join(folder, "agent.yaml");
  await writeFile(file, text);
  // Base64, as some secrets must be.
  const env = Object.fromEntries([...text.matchAll(/\$\{env:(\w+)\}/g)].map(([, name]) => [name!, "c2VjcmV0LW9mLXRoaXMtdGVzdA=="]));
  const loaded = await loadConfig({ sources: [file], env, definitions: components });
  const log: string[] = [];
  const clock = virtualClock();
  const assembled = assemble({ definitions: components, clock, store: memoryStore(), log: logTo(log), service: loaded.wanted.service });
  const configured = (): ComponentConfig => {
    const found = loaded.wanted.components.find(({ kind, id }) => kind === definition.kind && id === `${definition.type}/under_test`);
    if (found === undefined) throw new Error(`${definition.type} did not load: ${loaded.problems.map(problemText).join("; ")}`);
    return found;
  };
  return {
    ...assembled,
    clock,
    loaded,
    log,
    folder,
    create: () => definition.create(configured().config as never, assembled.agent.applyParts.contextOf(configured(), []) as never) as Receiver & Exporter,
    async [Symbol.asyncDispose]() {
      await assembled.agent.stop();
      await assembled.listeners.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function logTo(lines: string[], bound: object = {}): Logger {
  const write = (level: string) => (fields: object, message: string) => void lines.push(JSON.stringify({ level, ...bound, ...fields, message }));
  return {
    debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"),
    child: (fields) => logTo(lines, { ...bound, ...fields }),
  };
}
