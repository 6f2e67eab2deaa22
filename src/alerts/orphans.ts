import type { EvaluatedResource } from "../sdk/resource.ts";
import type { AlertState } from "./alert_state.ts";
import { alertKey, ruleKey } from "./reconcile.ts";
import type { RuleMemory } from "./rule_memory.ts";

/** What belongs to a rule that is gone is kept this long: the file may have gone by mistake. */
const RULE_REMOVED_AFTER_MS = 5 * 60_000;

/**
 * Open alerts whose rule is not configured now, and what rules remember that are not. Where a rejected file is why, they stay
 * until it is accepted again: while it is rejected, nobody can say that the rule is gone.
 */
export class Orphans {
  readonly #memory: RuleMemory;
  #frozenFiles: ReadonlySet<string> = new Set();
  #alerts = new Map<string, { readonly state: AlertState; readonly at: number }>();
  /** By rule: since when what it remembers is of no use. */
  #memories = new Map<string, { readonly type: string; readonly rule: string; readonly at: number }>();

  constructor(memory: RuleMemory) {
    this.#memory = memory;
  }

  add(state: AlertState, now: number): void {
    this.#alerts.set(alertKey(state), { state, at: now });
  }

  *states(): Iterable<AlertState> {
    for (const { state } of this.#alerts.values()) yield state;
  }

  has(state: AlertState): boolean {
    return this.#alerts.has(alertKey(state));
  }

  /** After a reload: these have no rule now; how long already is known of those that had none before. */
  replace(states: readonly AlertState[], isConfigured: (type: string, rule: string) => boolean, frozenFiles: ReadonlySet<string>, now: number): void {
    const [alerts, memories, frozen] = [this.#alerts, this.#memories, this.#frozenFiles];
    this.#frozenFiles = frozenFiles;
    this.#alerts = new Map(states.map((state) => {
      const key = alertKey(state);
      return [key, { state, at: frozen.has(state.file) ? now : (alerts.get(key)?.at ?? now) }];
    }));
    this.#memories = new Map();
    for (const [type, rule] of this.#memory.rules()) {
      const key = ruleKey(type, rule);
      if (!isConfigured(type, rule)) this.#memories.set(key, { type, rule, at: frozen.size > 0 ? now : (memories.get(key)?.at ?? now) });
    }
  }

  /** Takes out the alerts of a resource that is gone, and forgets what is remembered of it under `names`. */
  takeOf(resource: EvaluatedResource, names: readonly string[]): AlertState[] {
    const taken: AlertState[] = [];
    for (const [key, { state }] of this.#alerts) {
      if (state.type !== resource.type || state.resource !== resource.id || state.group !== undefined) continue;
      this.#alerts.delete(key);
      taken.push(state);
    }
    for (const { type, rule } of this.#memories.values()) {
      if (type === resource.type) for (const name of names) this.#memory.put(type, rule, name + resource.id, undefined);
    }
    return taken;
  }

  /** Takes out the alerts whose rule has been gone long enough, and forgets what such rules remembered. */
  takeDue(now: number): { readonly removed: AlertState[]; readonly nextMs: number } {
    let nextMs = Infinity;
    const isDue = (at: number): boolean => {
      const due = at + RULE_REMOVED_AFTER_MS;
      if (due > now) nextMs = Math.min(nextMs, due);
      return due <= now;
    };
    const removed: AlertState[] = [];
    for (const [key, { state, at }] of this.#alerts) {
      if (this.#frozenFiles.has(state.file) || !isDue(at)) continue;
      this.#alerts.delete(key);
      removed.push(state);
    }
    for (const [key, { type, rule, at }] of this.#memories) {
      // Which file it was in is not known: any of the rejected ones may have it.
      if (this.#frozenFiles.size > 0 || !isDue(at)) continue;
      this.#memories.delete(key);
      this.#memory.forgetRule(type, rule);
    }
    return { removed, nextMs };
  }
}
