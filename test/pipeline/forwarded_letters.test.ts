import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadLetters } from "../../src/pipeline/dead_letters.ts";
import { forwardDeadLetters } from "../../src/pipeline/forwarded_letters.ts";
import type { Instance } from "../../src/pipeline/instance.ts";
import { takesObservations } from "../../src/pipeline/lifecycle.ts";
import type { Services } from "../../src/pipeline/services.ts";
import { wholeBody, type Observation } from "../../src/sdk/observation.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";

const exporter = (id: string, takesDeadLetters?: "too" | "only"): Instance =>
  ({ config: { id }, component: { export: async () => undefined, ...(takesDeadLetters === undefined ? {} : { takesDeadLetters }) } }) as unknown as Instance;

function wired(...instances: readonly Instance[]) {
  const queued: [string, Observation][] = [];
  const deadLetters = new DeadLetters(virtualClock(1_000), () => 100);
  const queues = { get: (id: string) => ({ add: (observation: Observation) => void queued.push([id, observation]) }) };
  forwardDeadLetters(instances, { deadLetters, queues } as unknown as Pick<Services, "deadLetters" | "queues">);
  return { deadLetters, queued };
}

test("a dead letter goes to each exporter that takes them, and says of whom, why, when and what", () => {
  const { deadLetters, queued } = wired(exporter("kafka/a", "only"), exporter("webhook"), exporter("kafka/b", "too"));
  deadLetters.add("parse", "no JSON", { body: "x" });
  assert.deepEqual(queued.map(([id, { source, time, body, deadLetter }]) => [id, source, time, wholeBody(body), deadLetter]), [
    ["kafka/a", "parse", 1_000, { body: "x" }, { number: 1, reason: "no JSON" }],
    ["kafka/b", "parse", 1_000, { body: "x" }, { number: 1, reason: "no JSON" }],
  ]);
});

test("what fails at an exporter that takes dead letters goes round to none of them", () => {
  const { deadLetters, queued } = wired(exporter("kafka/a", "only"), exporter("kafka/b", "too"));
  deadLetters.add("kafka/a", "refused", {});
  deadLetters.add("kafka/b", "refused", {});
  assert.deepEqual(queued, []);
});

test("who takes nothing but dead letters gets no observations", () => {
  assert.deepEqual([exporter("a", "only"), exporter("b", "too"), exporter("c")].map(takesObservations), [false, true, true]);
});

test("a reload without such an exporter ends it", () => {
  const { deadLetters, queued } = wired(exporter("kafka", "only"));
  forwardDeadLetters([exporter("webhook")], { deadLetters, queues: new Map() } as unknown as Pick<Services, "deadLetters" | "queues">);
  deadLetters.add("parse", "no JSON", {});
  assert.deepEqual(queued, []);
});
