import type { Json } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

export const RULE_MEMORY: Table = {
  name: "rule_memory",
  columns: [["type", "text"], ["rule", "text"], ["name", "text"], ["value", "json"]],
  keyColumns: 3,
};

/** The one row that is no rule's: until when the agent was there. */
const ALIVE: readonly Cell[] = ["", "", "alive"];

/** What one rule remembers. */
interface Memory {
  readonly type: string;
  readonly rule: string;
  readonly values: Map<string, Json>;
  /** Names whose value the next commit writes. */
  dirty: Set<string>;
}

/**
 * What rules must remember beside the state of resources: when a sequence began, the contents of windows, what was last
 * seen of something expected. It is written with the commit of the observation that changed it, so that neither a restart
 * nor a repeated delivery counts anything twice. Values must not be changed in place.
 */
export class RuleMemory implements Persistent {
  readonly tables = [RULE_MEMORY];
  readonly #changed: () => void;
  /** By type, by rule: asked with every observation, so without a key that would have to be put together. */
  readonly #types = new Map<string, Map<string, Memory>>();
  readonly #dirty = new Set<Memory>();
  readonly #now: () => number;
  #aliveMs: number | undefined;
  #isAlive = false;

  /** `now`: ms; without it nobody asks until when the agent was there. */
  constructor(changed: () => void, now: () => number = () => 0) {
    this.#changed = changed;
    this.#now = now;
  }

  /** Until when the agent was there, so far as the store knows; undefined: it never was. */
  get aliveMs(): number | undefined {
    return this.#aliveMs;
  }

  /** The next commit says that the agent is there. Every commit of something remembered does, too. */
  alive(): void {
    this.#isAlive = true;
    this.#changed();
  }

  get(type: string, rule: string, name: string): Json | undefined {
    return this.#types.get(type)?.get(rule)?.values.get(name);
  }

  /** Undefined forgets it. */
  put(type: string, rule: string, name: string, value: Json | undefined): void {
    const memory = value === undefined ? this.#types.get(type)?.get(rule) : this.#of(type, rule);
    if (memory === undefined) return;
    if (value !== undefined) memory.values.set(name, value);
    else if (!memory.values.delete(name)) return;
    memory.dirty.add(name);
    this.#dirty.add(memory);
    this.#changed();
  }

  entries(type: string, rule: string): Iterable<[name: string, value: Json]> {
    return this.#types.get(type)?.get(rule)?.values ?? [];
  }

  /** Rules that have something to remember. */
  *rules(): Iterable<readonly [type: string, rule: string]> {
    for (const rules of this.#types.values()) for (const { type, rule, values } of rules.values()) if (values.size > 0) yield [type, rule];
  }

  forgetRule(type: string, rule: string): void {
    const memory = this.#types.get(type)?.get(rule);
    if (memory === undefined) return;
    for (const name of memory.values.keys()) memory.dirty.add(name);
    memory.values.clear();
    this.#dirty.add(memory);
    this.#changed();
  }

  async restore(store: Store): Promise<void> {
    await store.load(RULE_MEMORY, (cells) => {
      for (let i = 0; i < cells.length; i += 4) {
        const [type, rule, name, value] = cells.slice(i, i + 4) as [string, string, string, string];
        if (rule === "") this.#aliveMs = JSON.parse(value) as number;
        else this.#of(type, rule).values.set(name, JSON.parse(value) as Json);
      }
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#dirty.size === 0 && !this.#isAlive) return;
    this.#isAlive = false;
    this.#aliveMs = this.#now();
    const puts: Cell[] = [...ALIVE, JSON.stringify(this.#aliveMs)];
    const deletes: Cell[] = [];
    for (const memory of this.#dirty) {
      const { type, rule, values, dirty } = memory;
      for (const name of dirty) {
        const value = values.get(name);
        if (value === undefined) deletes.push(type, rule, name);
        else puts.push(type, rule, name, JSON.stringify(value));
      }
      memory.dirty = new Set();
    }
    changes.push({ table: RULE_MEMORY, puts, deletes });
    this.#dirty.clear();
  }

  #of(type: string, rule: string): Memory {
    let rules = this.#types.get(type);
    if (rules === undefined) this.#types.set(type, (rules = new Map()));
    let memory = rules.get(rule);
    if (memory === undefined) rules.set(rule, (memory = { type, rule, values: new Map(), dirty: new Set() }));
    return memory;
  }
}
