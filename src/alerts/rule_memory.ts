import type { Json } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

const RULE_MEMORY: Table = {
  name: "rule_memory",
  columns: [["type", "text"], ["rule", "text"], ["name", "text"], ["value", "json"]],
  keyColumns: 3,
};

/**
 * What rules must remember beside the state of resources: when a sequence began, the contents of windows, what was last
 * seen of something expected. It is written with the commit of the observation that changed it, so that neither a restart
 * nor a repeated delivery counts anything twice. Values must not be changed in place.
 */
export class RuleMemory implements Persistent {
  readonly tables = [RULE_MEMORY];
  readonly #changed: () => void;
  readonly #rules = new Map<string, Map<string, Json>>();
  /** By rule, names whose value the next commit writes. */
  #dirty = new Map<string, Set<string>>();

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get(type: string, rule: string, name: string): Json | undefined {
    return this.#rules.get(keyOf(type, rule))?.get(name);
  }

  /** Undefined forgets it. */
  put(type: string, rule: string, name: string, value: Json | undefined): void {
    const key = keyOf(type, rule);
    let values = this.#rules.get(key);
    if (value === undefined) {
      if (values?.delete(name) !== true) return;
    } else {
      if (values === undefined) this.#rules.set(key, (values = new Map()));
      values.set(name, value);
    }
    this.#touch(key, name);
  }

  entries(type: string, rule: string): Iterable<[name: string, value: Json]> {
    return this.#rules.get(keyOf(type, rule)) ?? [];
  }

  /** Rules that have something to remember. */
  *rules(): Iterable<readonly [type: string, rule: string]> {
    for (const key of this.#rules.keys()) yield JSON.parse(key) as [string, string];
  }

  forgetRule(type: string, rule: string): void {
    const key = keyOf(type, rule);
    for (const name of this.#rules.get(key)?.keys() ?? []) this.#touch(key, name);
    this.#rules.delete(key);
  }

  async restore(store: Store): Promise<void> {
    await store.load(RULE_MEMORY, (cells) => {
      for (let i = 0; i < cells.length; i += 4) {
        const [type, rule, name, value] = cells.slice(i, i + 4) as [string, string, string, string];
        const key = keyOf(type, rule);
        let values = this.#rules.get(key);
        if (values === undefined) this.#rules.set(key, (values = new Map()));
        values.set(name, JSON.parse(value) as Json);
      }
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#dirty.size === 0) return;
    const puts: Cell[] = [];
    const deletes: Cell[] = [];
    for (const [key, names] of this.#dirty) {
      const [type, rule] = JSON.parse(key) as [string, string];
      const values = this.#rules.get(key);
      for (const name of names) {
        const value = values?.get(name);
        if (value === undefined) deletes.push(type, rule, name);
        else puts.push(type, rule, name, JSON.stringify(value));
      }
    }
    changes.push({ table: RULE_MEMORY, puts, deletes });
    this.#dirty = new Map();
  }

  #touch(key: string, name: string): void {
    let names = this.#dirty.get(key);
    if (names === undefined) this.#dirty.set(key, (names = new Set()));
    names.add(name);
    this.#changed();
  }
}

function keyOf(type: string, rule: string): string {
  return JSON.stringify([type, rule]);
}
