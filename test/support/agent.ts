import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assemble, type Assembled } from "../../src/cli/assemble.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { Wanted } from "../../src/config/model.ts";
import { problemText } from "../../src/pipeline/problems.ts";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import type { AnyDefinition, Context, ReceiverContext } from "../../src/sdk/component.ts";
import { observation, type Json, type Observation, type ObservationFields } from "../../src/sdk/observation.ts";
import type { Logger } from "../../src/sdk/log.ts";
import { settled, virtualClock, type VirtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore, type MemoryStore } from "../../src/storage/memory_store.ts";
import { definitionsOf, line, type Destinations } from "./agent_components.ts";
import { mortal } from "./mortal_clock.ts";

/** An agent on virtual time, with components that do what the test says. */
export interface Harness extends AsyncDisposable {
  readonly clock: VirtualClock;
  readonly store: MemoryStore;
  readonly now: Assembled;
  /** Notifications that a destination took, in order, as `exporter: FIRING OrderStuck o1`. */
  readonly sent: string[];
  readonly notifications: { exporter: string; notification: Notification }[];
  /** Alerts that fired or ended, whether anybody was told or not, as `FIRING OrderStuck o1`. */
  readonly changes: string[];
  readonly alerts: Alert[];
  readonly exported: { exporter: string; observation: Observation }[];
  readonly destinations: Destinations;
  /** `start recorder/ops`, `stop …`, in order. */
  readonly lifecycle: string[];
  /** The context of a receiver that runs. */
  receiver(id: string): ReceiverContext;
  /** The context of any component that was created, the last of its id. */
  component(id: string): Context;
  readonly log: string[];
  /** The fields of each line of `log`, its component among them. */
  readonly logFields: object[];
  /** Emits and lets everything settle; rejects if it is not committed by then. */
  send(receiver: string, bodies: Json | readonly Json[], fields?: Partial<ObservationFields>): Promise<void>;
  advance(ms: number): Promise<void>;
  load(yaml: string): Promise<Wanted>;
  /** Another configuration; `change` may alter what was loaded. */
  reload(yaml: string, change?: (wanted: Wanted) => Wanted): Promise<void>;
  /** The process dies with all that was not committed, and comes again. */
  restart(downMs?: number, yaml?: string, change?: (wanted: Wanted) => Wanted): Promise<void>;
  stop(): Promise<void>;
}

/** Settles what is ready, timers that are due included. */
async function settle(clock: VirtualClock): Promise<void> {
  await clock.advance(0);
}

/**
 * Starts an agent on this configuration. Receivers are `feed`, exporters `recorder` (alerts) and `sink` (observations);
 * `more`: further components.
 */
export async function harness(
  yaml: string, prepare?: (parts: { store: MemoryStore; destinations: Destinations }) => void, more: readonly AnyDefinition[] = [],
): Promise<Harness> {
  const clock = virtualClock();
  const store = memoryStore();
  const folder = await mkdtemp(join(tmpdir(), "sojourn-agent-"));
  const contexts = new Map<string, Context>();
  const sent: string[] = [];
  const notifications: Harness["notifications"] = [];
  const exported: Harness["exported"] = [];
  const changes: string[] = [];
  const alerts: Alert[] = [];
  const lifecycle: string[] = [];
  const log: string[] = [];
  const logFields: object[] = [];
  const destinations: Destinations = { notify: () => undefined, export: () => undefined };
  prepare?.({ store, destinations });
  const definitions = [...definitionsOf({ contexts, sent, notifications, exported, lifecycle, destinations }), ...more];
  let text = yaml;

  async function load(of: string): Promise<Wanted> {
    const file = join(folder, "agent.yaml");
    await writeFile(file, of);
    const loaded = await loadConfig({ sources: [file], env: {}, definitions });
    if (loaded.problems.length > 0) throw new Error(loaded.problems.map(problemText).join("\n"));
    return loaded.wanted;
  }

  interface Life { readonly parts: Assembled; alive: boolean }
  function begin(wanted: Wanted): Life {
    const timers = mortal(clock, () => life.alive);
    const observeAlert = (alert: Alert): void => {
      alerts.push(alert);
      changes.push(line(alert));
    };
    const parts = assemble({ definitions, clock: timers, store, log: logTo(log, logFields), service: wanted.service, observeAlert });
    const life: Life = { parts, alive: true };
    return life;
  }

  let wanted = await load(text);
  let life = begin(wanted);
  await life.parts.agent.start(wanted);
  await settle(clock);

  const made: Harness = {
    clock, store, sent, notifications, changes, alerts, exported, destinations, lifecycle, log, logFields, load,
    get now() {
      return life.parts;
    },
    receiver: (id) => contexts.get(id) as ReceiverContext,
    component: (id) => contexts.get(id)!,
    async send(receiver, bodies, fields = {}) {
      const list = Array.isArray(bodies) ? (bodies as readonly Json[]) : [bodies as Json];
      const emitted = life.parts.agent.emit(receiver, list.map((body) => observation(body, { source: receiver, time: clock.now(), ...fields })));
      let done = false;
      emitted.then(() => (done = true), () => (done = true));
      await settle(clock);
      if (!done) throw new Error("not committed");
      await emitted;
    },
    advance: (ms) => clock.advance(ms),
    async reload(next, change = (same) => same) {
      text = next;
      wanted = change(await load(next));
      const reloaded = life.parts.agent.reload(wanted);
      reloaded.catch(() => {});
      await settle(clock);
      await reloaded;
      await settle(clock);
    },
    async restart(downMs = 0, next = text, change = (same) => same) {
      life.alive = false;
      store.crash();
      await settled();
      clock.jump(downMs);
      text = next;
      wanted = change(await load(next));
      life = begin(wanted);
      await life.parts.agent.start(wanted);
      await settle(clock);
    },
    async stop() {
      let done = false;
      const stopped = life.parts.agent.stop().then(() => (done = true));
      for (let i = 0; i < 100 && !done; i++) await clock.advance(1_000);
      await stopped;
    },
    async [Symbol.asyncDispose]() {
      await made.stop();
      await life.parts.listeners.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return made;
}

function logTo(lines: string[], logged: object[], bound: { readonly component?: string } = {}): Logger {
  const write = (level: string) => (fields: object, message: string) => {
    const all: { readonly component?: string } = { ...bound, ...fields };
    lines.push(`${level} ${all.component ?? "agent"}: ${message}`);
    logged.push(all);
  };
  return {
    debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error"),
    child: (fields) => logTo(lines, logged, { ...bound, ...fields }),
  };
}

/** One pipeline around a track of orders; `track` and `rules` are YAML flow text, `rest` further top-level text. */
export function orders(parts: { track?: string; rules?: string; receivers?: string; exporters?: string; processors?: string; service?: string } = {}): string {
  const { track: more = "", rules, receivers = "feed: {}", exporters = "recorder: {}", processors = "", service = "" } = parts;
  const ids = (flow: string): string => [...flow.matchAll(/(?:^|,\s*)([a-z]+(?:\/[a-z0-9]+)?):/g)].map(([, id]) => id).join(", ");
  const middle = ids(processors);
  return `
version: 1
receivers: { ${receivers} }
processors:
  ${processors === "" ? "" : processors.split("; ").join("\n  ")}
  track/order:
    type: order
    id: body.id
    state: body.status
    time: body.at
    attributes: { amount: body.amount }
    ${more.split("\n").join("\n    ")}
${rules === undefined ? "" : `  threshold/order:\n    rules: ${rules}\n`}
exporters: { ${exporters} }
service:
  ${service}
  pipelines:
    orders:
      receivers: [${ids(receivers)}]
      processors: [${[...(middle === "" ? [] : [middle]), "track/order", ...(rules === undefined ? [] : ["threshold/order"])].join(", ")}]
      exporters: [${ids(exporters)}]
`;
}
