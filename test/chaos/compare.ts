import assert from "node:assert/strict";
import type { FakePagerDuty } from "../support/fake_pagerduty.ts";
import type { FakeSlack } from "../support/fake_slack.ts";
import type { Truth } from "./truth.ts";

/** Every resource's state equals the source's. */
export async function compareResources(api: string, type: string, truth: Truth): Promise<void> {
  const found = new Map<string, string>();
  for (let cursor: string | null = ""; cursor !== null; ) {
    const response: Response = await fetch(`${api}/api/v1/resources?type=${type}&limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`);
    const page = (await response.json()) as { items: { id: string; state: string }[]; next: string | null };
    for (const { id, state } of page.items) found.set(id, state);
    cursor = page.next;
  }
  assertSame(found, new Map([...truth.orders.values()].map(({ id, state }) => [id, state])), `states of ${type}`);
}

/** Every transition is counted exactly once in the store. */
export async function compareMoves(url: string, type: string, truth: Truth): Promise<void> {
  const text = await (await fetch(url)).text();
  const counted = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^custom_resource_transitions_total\{type="([^"]+)",from="([^"]+)",to="([^"]+)"\} (\d+)$/.exec(line);
    if (match?.[1] === type && match[4] !== "0") counted.set(`${match[2]}>${match[3]}`, Number(match[4]));
  }
  const results = text.split("\n").filter((line) => line.startsWith("custom_resource_observations_total") && line.includes(`"${type}"`)).map((line) => line.replace(/.*result=/, "")).join(" ");
  const written = [...truth.orders.values()].reduce((sum, { sequence }) => sum + sequence, 0);
  assertSame(counted, truth.moves, `transitions of ${type}; ${written} observations were written; taken as ${results}`);
}

/**
 * Each order that is failed now is in exactly one open incident: its own or, where too much waited for a destination in
 * trouble, one that it shares; never more of its own than it failed; none open where it is not failed any more.
 */
export function compareIncidents(pagerduty: FakePagerDuty, truths: readonly Truth[]): void {
  const shared = sharedIncidents(pagerduty);
  const named = Map.groupBy(shared.named, (resource) => resource.slice(resource.lastIndexOf("/") + 1));
  const own = Map.groupBy(pagerduty.incidents, ({ summary }) => / (\S+) is /.exec(summary)?.[1] ?? "");
  let unnamed = 0;
  for (const truth of truths) {
    for (const order of truth.orders.values()) {
      const incidents = own.get(order.id) ?? [];
      const open = incidents.filter(({ status }) => status !== "resolved").length + (named.get(order.id)?.length ?? 0);
      assert.ok(incidents.length <= order.failures, `${order.id} failed ${order.failures} times and has ${incidents.length} incidents`);
      assert.ok(open <= 1, `${order.id} is in ${open} open incidents`);
      if (order.state !== "failed") assert.equal(open, 0, `open incidents of ${order.id}, which is ${order.state}`);
      else if (open === 0) unnamed++;
    }
  }
  assert.equal(unnamed, shared.more, "orders that are failed and in no incident by name, and those that incidents only count");
}

/** What the open incidents of many alerts said last: the resources that they name, and how many more they count. */
function sharedIncidents(pagerduty: FakePagerDuty): { readonly named: readonly string[]; readonly more: number } {
  interface Shared { readonly alerts?: readonly { readonly resource: string }[]; readonly more?: string }
  const named: string[] = [];
  let more = 0;
  for (const { dedup_key, status } of pagerduty.incidents) {
    if (status === "resolved") continue;
    const last = pagerduty.events.findLast((event) => event.dedup_key === dedup_key && event.event_action === "trigger");
    const details = (last?.payload?.custom_details ?? {}) as Shared;
    named.push(...(details.alerts ?? []).map(({ resource }) => resource));
    more += Number(/\d+/.exec(details.more ?? "0")![0]);
  }
  return { named, more };
}

/**
 * Slack cannot deduplicate: at most one repeat for each kill. Messages about many orders (where Slack was in trouble) tell
 * again of those that still fail, and only count those beyond a number. Returns the repeats.
 */
export function compareSlack(slack: FakeSlack, truths: readonly Truth[], kills: number): number {
  let repeats = 0;
  const fired = new Map<string, number>();
  const ended = new Map<string, number>();
  const shared = new Set<string>();
  let more = 0;
  for (const { text } of slack.posts) {
    const [title, ...lines] = text.split("\n");
    if (lines.length > 0) {
      for (const line of lines) {
        const [, id] = /^FIRING: .*\b([A-Z]+-\d+)\b/.exec(line) ?? [];
        if (id !== undefined) shared.add(id);
        more += Number(/^\+(\d+) more$/.exec(line)?.[1] ?? 0);
      }
      continue;
    }
    const [, id] = /\b([A-Z]+-\d+)\b/.exec(title!) ?? [];
    assert.ok(id !== undefined, `a message about no order: ${text}`);
    const told = /resolved/i.test(text) ? ended : fired;
    told.set(id, (told.get(id) ?? 0) + 1);
  }
  let unnamed = 0;
  for (const truth of truths) {
    for (const order of truth.orders.values()) {
      const told = fired.get(order.id) ?? 0;
      repeats += Math.max(0, told - order.failures) + Math.max(0, (ended.get(order.id) ?? 0) - order.failures);
      if (order.state === "failed" && told === 0 && !shared.has(order.id)) unnamed++;
    }
  }
  assert.ok(unnamed <= more, `nobody was told on Slack of ${unnamed} orders that failed, ${more} were only counted`);
  assert.ok(repeats <= kills, `${repeats} repeats on Slack after ${kills} kills`);
  return repeats;
}

/** Not `deepEqual`: what that makes of a difference between tens of thousands of entries takes gigabytes. */
function assertSame<V>(is: ReadonlyMap<string, V>, should: ReadonlyMap<string, V>, what: string): void {
  const differences = [...new Set([...is.keys(), ...should.keys()])]
    .filter((key) => is.get(key) !== should.get(key))
    .map((key) => `${key} is ${String(is.get(key))}, should be ${String(should.get(key))}`);
  assert.equal(differences.length, 0, `${what}: ${differences.slice(0, 10).join("; ")}${differences.length > 10 ? `; and ${differences.length - 10} more` : ""}`);
}
