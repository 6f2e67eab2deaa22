import assert from "node:assert/strict";
import { test } from "node:test";
import type { Notification } from "../../../src/sdk/alert.ts";
import type { Json } from "../../../src/sdk/observation.ts";
import { HOUR, MINUTE, rig, SECOND, type RigExporter } from "./rig.ts";

/** The destination: what it would show to somebody on call. */
class Destination {
  /** Open incidents: the alerts that are listed as firing, by key. */
  readonly open = new Map<string, Map<string, Json>>();
  /** Episodes by alert, as they were last told: never one before. */
  readonly last = new Map<string, { readonly episode: number; readonly status: string }>();
  readonly closedAt = new Map<string, number>();
  opened = 0;
  /** Messages that say nothing that is not known. */
  repeated = 0;

  take({ key, status, cause, alerts }: Notification, context: string): void {
    let news = 0;
    const isOpen = this.open.get(key);
    for (const { dedup_key, value, status: of } of alerts) {
      const episode = value as number;
      const before = this.last.get(dedup_key);
      // An end that nobody could confirm may come again, even when a later one is known.
      if (before !== undefined && episode < before.episode && of === "resolved" && before.status === "resolved") continue;
      assert.ok(before === undefined || episode >= before.episode, `${context}: ${dedup_key} goes back to an episode before`);
      assert.ok(!(before?.episode === episode && before.status === "resolved" && of === "firing"), `${context}: ${dedup_key} fires after its end`);
      if (before?.episode !== episode || before.status !== of) news++;
      this.last.set(dedup_key, { episode, status: of });
    }
    if (news === 0) this.repeated++;
    if (status === "resolved") {
      assert.ok(alerts.every(({ status: of }) => of === "resolved"), context);
      this.open.delete(key);
      // Ends that came together are of incidents by the alerts' keys.
      for (const { dedup_key } of alerts) this.open.delete(dedup_key);
      return;
    }
    assert.ok(alerts.some(({ status: of }) => of === "firing"), `${context}: ${cause}`);
    if (isOpen === undefined) this.opened++;
    const incident = isOpen ?? new Map<string, Json>();
    this.open.set(key, incident);
    for (const { dedup_key, status: of, value } of alerts) {
      if (of === "firing") incident.set(dedup_key, value);
      else incident.delete(dedup_key);
    }
  }
}

interface Plan {
  readonly exporter: Omit<RigExporter, "notify">;
  readonly crashes: boolean;
  readonly failures: boolean;
}

const limits = { messagesPerMinute: 6, burst: 2 };
const grouped = { group_by: ["region"], group_wait: "10s", group_interval: "30s" };
const PLANS: Record<string, Plan> = {
  "each on its own": { exporter: { deduplicates: true }, crashes: false, failures: false },
  "each on its own, with crashes and failures": { exporter: { deduplicates: true }, crashes: true, failures: true },
  "grouped": { exporter: { deduplicates: true, config: grouped }, crashes: false, failures: false },
  "grouped, with crashes and failures": { exporter: { deduplicates: true, config: { ...grouped, repeat_interval: "2m" } }, crashes: true, failures: true },
  "in storms": { exporter: { deduplicates: true, limits }, crashes: false, failures: false },
  "in storms, with crashes and failures": { exporter: { deduplicates: true, limits }, crashes: true, failures: true },
  "in storms, to one that cannot tell messages apart": { exporter: { limits }, crashes: true, failures: false },
  "grouped in storms, with crashes and failures": { exporter: { deduplicates: true, limits, config: { ...grouped, group_by: ["id"] } }, crashes: true, failures: true },
};

for (const [name, plan] of Object.entries(PLANS)) {
  test(`whatever happens, the destination knows in the end what fires and what does not, and nothing comes late: ${name}`, async () => {
    for (let seed = 1; seed <= 40; seed++) await run(plan, seed);
  });
}

async function run({ exporter, crashes, failures }: Plan, seed: number): Promise<void> {
  let state = seed * 2_654_435_761;
  const below = (n: number): number => {
    state = (state ^ (state << 13)) >>> 0;
    state = (state ^ (state >>> 17)) >>> 0;
    state = (state ^ (state << 5)) >>> 0;
    return state % n;
  };
  const destination = new Destination();
  let wrong: unknown;
  let mood: "up" | "down" | "deaf" = "up";
  const notify = (notification: Notification): void => {
    if (mood === "down") throw new Error("503");
    try {
      destination.take(notification, `seed ${seed}`);
    } catch (error) {
      // Thrown from here, it would be a refusal.
      wrong ??= error;
    }
    // It took it, and the answer was lost.
    if (mood === "deaf") throw new Error("timed out");
  };
  const r = await rig({ exporters: { it: { ...exporter, notify } } });
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (let step = 0; step < 80; step++) {
    const id = ids[below(ids.length)]!;
    switch (below(10)) {
      case 0: case 1: case 2:
        if (!r.isFiring(id)) r.fire(id, { region: id < "d" ? "eu" : "us", id }, { firstSync: below(4) === 0, rule: id < "d" ? "Stuck" : "Slow" });
        break;
      case 3: case 4:
        r.end(id);
        break;
      case 5: case 6:
        await r.advance(below(40) * SECOND);
        break;
      case 7:
        if (below(3) === 0) r.silences.add({ matchers: [`id=${id}`], endsAt: r.clock.now() + (1 + below(5)) * MINUTE, createdBy: "ann", comment: "x" });
        break;
      case 8:
        if (failures) mood = (["up", "up", "down", "deaf"] as const)[below(4)]!;
        break;
      default:
        if (crashes && below(2) === 0) await r.restart(below(30) * SECOND);
        else await r.settle();
    }
  }
  mood = "up";
  await r.advance(HOUR);
  if (wrong !== undefined) throw wrong;
  const context = `seed ${seed}: ${r.told.slice(-12).join("; ")}`;
  const shown = new Set([...destination.open.values()].flatMap((incident) => [...incident.keys()]));
  const listed = (id: string): boolean => shown.has(`key of ${id}`) && destination.last.get(`key of ${id}`)?.status === "firing";
  for (const id of ids) assert.equal(listed(id), r.isFiring(id), `${id} ${r.isFiring(id) ? "is forgotten" : "is still open"}; ${context}`);
  for (const id of ids) r.end(id);
  await r.advance(HOUR);
  if (wrong !== undefined) throw wrong;
  assert.deepEqual([...destination.open.keys()], [], context);
  assert.equal(r.dispatcher.openOn("it"), 0, context);
  assert.equal(r.outbox.pending("it"), 0, context);
  assert.equal(r.deadLetters.list(undefined, 1).length, 0);
  assert.deepEqual(r.failures, []);
  if (!crashes && !failures) assert.equal(destination.repeated, 0, `something was told twice; ${context}`);
}
