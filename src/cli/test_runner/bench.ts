import type { ReloadOutcome } from "../../api/control.ts";
import type { Wanted } from "../../config/model.ts";
import type { MetricStore } from "../../metrics/store.ts";
import type { Agent } from "../../pipeline/agent.ts";
import type { Alert } from "../../sdk/alert.ts";
import { NOTHING_STARTED, sleepOn, type Clock } from "../../sdk/clock.ts";
import type { AnyDefinition } from "../../sdk/component.ts";
import { silentLog } from "../../sdk/log.ts";
import type { Observation } from "../../sdk/observation.ts";
import { virtualClock } from "../../sdk/virtual_clock.ts";
import { memoryStore } from "../../storage/memory_store.ts";
import { assemble } from "../assemble.ts";
import { Reloader } from "../reloader.ts";
import type { Change } from "./alert_changes.ts";
import type { EditedLoader } from "./edits.ts";
import { createNotes, notingLog } from "./notes.ts";
import { Outside } from "./outside.ts";
import { standIns } from "./stand_ins.ts";

/** A test fires at most this many timers: about five simulated years of a rule that is looked at every 15 s … */
const FIRED_MAX = 20_000_000;
/** … and waits this many turns of the event loop for what a timer set off. */
const TURNS_MAX = 1_000;
/** Later than this, RFC 3339 has no name for it. */
export const LAST_MS = Date.UTC(9999, 11, 31);

/** A change and what orders it among those that one timer brought. */
interface Noted extends Change {
  readonly moment: number;
  readonly row: number;
}

export interface BenchOptions {
  /** Runs at first. */
  readonly wanted: Wanted;
  readonly definitions: readonly AnyDefinition[];
  /** ms since the epoch. */
  readonly startMs: number;
  readonly outside?: Outside;
  readonly firedMax?: number;
}

/** One agent on virtual time, with a store of its own: receivers read nothing but mocked answers, exporters reach nobody. */
export interface Bench {
  /** Rejects (`PlanError`) when the configuration cannot be run. */
  start(): Promise<void>;
  now(): number;
  /** The observation enters as that receiver would emit it. Resolves once it is committed and all it set off is done. */
  send(receiver: string, observation: Observation): Promise<void>;
  /** Does it, and all that is due by it now. */
  does<T>(work: () => Promise<T>): Promise<T>;
  /** Time passes: deadlines fire in order, each settled before the next. Rejects beyond the year 9999. */
  advanceTo(atMs: number): Promise<void>;
  /** The process dies, with all that is not committed; `downMs` later another one starts on the same store, with `wanted`. */
  restart(downMs: number, wanted: Wanted): Promise<void>;
  /** The agent loads its configuration anew, as on SIGHUP. */
  reload(loader: EditedLoader): Promise<ReloadOutcome>;
  /** Alerts that changed since the last call, in order; those that were due at one instant as their resources were first seen. */
  takeChanges(): readonly Change[];
  readonly agent: Agent;
  readonly metrics: MetricStore;
  readonly outside: Outside;
  /** What components complained of. */
  readonly notes: readonly string[];
  /** Nothing of it runs any more. */
  end(): Promise<void>;
}

/** A process: when it dies, so do its timers and its log. */
interface Life {
  readonly agent: Agent;
  readonly metrics: MetricStore;
  alive: boolean;
}

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A bench whose agent has not been started. */
export function createBench({ wanted: first, definitions, startMs, outside = new Outside(), firedMax = FIRED_MAX }: BenchOptions): Bench {
  const clock = virtualClock(startMs);
  const store = memoryStore();
  const notes = createNotes();
  const components = standIns(definitions, notes, outside);
  let changes: Noted[] = [];
  let fired = 0;

  function begin(wanted: Wanted): Life {
    const timers = mortal(clock, () => life.alive, () => {
      if (++fired > firedMax) throw new Error(`more than ${firedMax.toLocaleString("en")} timers fired: let less time pass`);
    });
    const log = notingLog({ lines: [], add: (component, message) => void (life.alive && notes.add(component, message)) });
    const observeAlert = (alert: Alert): void => {
      const { type, id } = alert.resource;
      if (life.alive) changes.push({ at: clock.now(), alert, moment: fired, row: life.agent.services.resources.row(type, id) ?? Infinity });
    };
    const parts = assemble({ definitions: components, clock: timers, store, log, service: wanted.service, observeAlert });
    const life: Life = { ...parts, alive: true };
    return life;
  }

  let life = begin(first);

  async function settle(): Promise<void> {
    // Nothing in here waits for the outside, so a tick is enough: it comes after all promises that can settle have. It costs
    // a quarter of a turn of the event loop, and a simulated month has 350,000 of them.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    for (let turns = 0; turns < TURNS_MAX && !life.agent.services.outbox.idle; turns++) await turn();
  }

  /** What `work` needs that is due comes about meanwhile; should it wait for later, time passes as it would. `busy`: it waits for files. */
  async function pumped<T>(work: Promise<T>, busy: () => boolean = () => false): Promise<T> {
    let done = false;
    const outcome = work.then((value) => ({ value }), (error: unknown) => ({ error })).finally(() => (done = true));
    for (let turns = 0; ; ) {
      await clock.advanceTo(clock.now(), settle);
      if (done) break;
      await turn();
      if (busy()) turns = 0;
      else if (++turns > TURNS_MAX) await clock.advanceTo(clock.now() + 1, settle);
    }
    const result = await outcome;
    if ("error" in result) throw result.error;
    return result.value;
  }

  async function die(): Promise<void> {
    const { graph } = life.agent;
    life.alive = false;
    outside.live.clear();
    store.crash();
    // A process that dies takes its handles along. What waits for a dead clock waits for ever.
    for (const { component } of graph.instances.values()) component.stop?.().catch(() => {});
    await turn();
  }

  function checkBefore(atMs: number): void {
    if (atMs > LAST_MS) throw new Error("time would pass beyond the year 9999");
  }

  return {
    start: () => pumped(life.agent.start(first)),
    now: () => clock.now(),
    async send(receiver, observation) {
      let outcome: { readonly error: unknown } | undefined;
      life.agent.emit(receiver, [observation]).then(() => (outcome = { error: undefined }), (error: unknown) => (outcome = { error }));
      await clock.advanceTo(clock.now(), settle);
      if (outcome === undefined) throw new Error("was not committed");
      if (outcome.error !== undefined) throw outcome.error;
    },
    does: (work) => pumped(work()),
    async advanceTo(atMs) {
      checkBefore(atMs);
      await clock.advanceTo(atMs, settle);
    },
    async restart(downMs, wanted) {
      checkBefore(clock.now() + downMs);
      await die();
      clock.jump(downMs);
      life = begin(wanted);
      await pumped(life.agent.start(wanted));
    },
    reload(loader) {
      // What is wrong is told by the step.
      const reloader = new Reloader({ loader, agent: life.agent, log: silentLog, onApplied: async () => {} });
      return pumped(reloader.reload({ asked: true }), () => loader.loading);
    },
    takeChanges() {
      // What falls due at the same instant comes in no order that anybody could foresee: here, in the order in which the
      // resources were first seen.
      const taken = changes.toSorted((a, b) => a.moment - b.moment || (a.row === b.row ? 0 : a.row - b.row));
      changes = [];
      return taken;
    },
    get agent() {
      return life.agent;
    },
    get metrics() {
      return life.metrics;
    },
    outside,
    get notes() {
      return notes.lines;
    },
    end: die,
  };
}

/** A clock whose timers fire only while `alive`; each says so before (`fires`). */
function mortal(clock: Clock, alive: () => boolean, fires: () => void): Clock {
  const made: Clock = {
    now: () => clock.now(),
    monotonicMs: () => clock.monotonicMs(),
    random: () => clock.random(),
    at: (atMs, run) => clock.at(atMs, () => {
      if (!alive()) return NOTHING_STARTED;
      fires();
      return run();
    }),
    sleep: (ms, signal) => sleepOn(made, ms, signal),
  };
  return made;
}
