import assert from "node:assert/strict";
import { test } from "node:test";
import { Alerts } from "../../src/alerts/alerts.ts";
import type { ConfiguredRule } from "../../src/alerts/alert_state.ts";
import { declare } from "../../src/metrics/catalogue.ts";
import { createMetrics } from "../../src/metrics/store.ts";
import { createInstruments } from "../../src/pipeline/instruments.ts";
import { Resources } from "../../src/resources/resources.ts";
import { compileExpression } from "../../src/sdk/expression_compile.ts";
import { observation } from "../../src/sdk/observation.ts";
import type { TableChange } from "../../src/sdk/store.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { memoryStore, type MemoryStore } from "../../src/storage/memory_store.ts";

/** Alerts over resources of one type, and how each that fires is told. */
async function bench(store: MemoryStore = memoryStore()) {
  const clock = virtualClock();
  const told: string[] = [];
  const instruments = createInstruments(declare(createMetrics(clock)));
  const changed = (): void => {};
  const resources = new Resources({ clock, changed, metricsOf: (type) => instruments.typeMetrics(type) });
  const alerts = new Alerts({
    clock, changed,
    externalLabels: () => ({}),
    evaluationIntervalMs: () => 15_000,
    onFailure: changed,
    notify: (alert, _exporters, { firstSync }) => told.push(`${alert.alert} ${alert.resource.id} ${firstSync ? "first" : "news"}`),
    rowOf: (type, id) => resources.row(type, id),
    judgeAll: (type) => resources.judgeAll(type),
    resume: (type) => resources.resume(type),
    heard: (receiver, wasStale) => resources.heard(receiver, wasStale),
    sourcesOf: (type, row) => resources.sourcesOf(type, row),
  });
  resources.setJudge(alerts);
  await store.open([...resources.tables, ...alerts.tables]);
  await resources.restore(store);
  await alerts.restore(store);
  const tracker = resources.tracker("order", ["amount"]);
  return {
    alerts, told,
    say(id: string, amount: number, source = "poll"): void {
      const sighting = Object.assign(tracker.sighting(), { id, time: clock.now(), source });
      sighting.attributes[0] = amount;
      tracker.apply(sighting, observation({}, { source, time: clock.now() }));
    },
    configure: (...names: string[]) => alerts.configure(names.map(rule), new Set(), new Set(["poll", "hook"])),
    async commit(): Promise<void> {
      const changes: TableChange[] = [];
      resources.drain(changes);
      alerts.drain(changes);
      await store.commit(changes);
    },
  };
}

function rule(alert: string): ConfiguredRule {
  const base = { id: alert, alert, type: "order", labels: new Map(), annotations: new Map(), pointer: "" };
  return { declaration: { kind: "expr", ...base, expr: compileExpression("self.amount > 100", ["self"]) }, file: "a.yaml", exporters: ["mail"] };
}

test("what a new monitor finds at first is told as that, once its receivers have read what there was", async () => {
  const { alerts, told, say, configure } = await bench();
  alerts.hold(["order"]);
  configure("Large");
  for (const id of ["a", "b", "c"]) say(id, 200);
  assert.deepEqual(told, []);
  alerts.release("order");
  say("d", 200);
  assert.deepEqual(told, ["Large a first", "Large b first", "Large c first", "Large d news"]);
});

test("what a new rule finds among resources that are known is told as that; what others find then is not", async () => {
  const { told, say, configure } = await bench();
  configure("Large");
  say("a", 200);
  configure("Large", "Second");
  say("b", 200);
  assert.deepEqual(told, ["Large a news", "Second a first", "Large b news", "Second b news"]);
});

test("a rule that was judged once is known after a restart: what happened meanwhile is news", async () => {
  const store = memoryStore();
  const before = await bench(store);
  before.configure("Large");
  before.say("a", 200);
  await before.commit();
  store.crash();
  const { alerts, told, say, configure } = await bench(store);
  alerts.hold(["order"]);
  configure("Large");
  say("b", 200);
  alerts.release("order");
  assert.deepEqual(told, ["Large b news"]);
});

test("where nothing is there yet, the first is news; so is one that a hook brings while a poll still fails", async () => {
  const { alerts, told, say, configure } = await bench();
  alerts.hold(["order"]);
  alerts.setFailing("poll", "401");
  configure("Large");
  alerts.release("order");
  say("a", 200, "hook");
  // The poll is there for the first time: it has 2 old orders.
  say("b", 200);
  say("c", 200);
  assert.deepEqual(told, ["Large a news"]);
  alerts.setFailing("poll", undefined);
  say("d", 200);
  assert.deepEqual(told, ["Large a news", "Large b first", "Large c first", "Large d news"]);
});
