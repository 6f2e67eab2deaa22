import type { EvaluatedResource, LifecycleChange, ResourceView, Transition } from "../sdk/resource.ts";
import { bodyOf, wholeBody, type Attributes, type Json, type Observation } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

const QUEUED: Table = {
  name: "queued_observations",
  columns: [["number", "integer"], ["exporter", "text"], ["observation", "json"]],
  keyColumns: 1,
};

/** An observation that waits for an exporter. */
export interface Queued {
  readonly observation: Observation;
  /** Its row in the store; undefined where the queue is kept in memory alone. */
  readonly number: number | undefined;
}

/** Observations that wait for exporters whose queue is kept in the store (`sending_queue.storage`): they survive a crash. */
export class QueueStore implements Persistent {
  readonly tables = [QUEUED];
  readonly #changed: () => void;
  readonly #restored = new Map<string, Queued[]>();
  #fresh = new Map<number, readonly [exporter: string, observation: string]>();
  #deletes: Cell[] = [];
  #number = 0;

  /** `changed` is told when something must be committed. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Written with the commit that the observation belongs to. */
  add(exporter: string, observation: Observation): number {
    this.#fresh.set(++this.#number, [exporter, textOf(observation)]);
    return this.#number;
  }

  /** They were sent, or given up. Until that is committed, a crash sends them again. */
  remove(entries: readonly Queued[]): void {
    for (const { number } of entries) {
      if (number !== undefined && !this.#fresh.delete(number)) this.#deletes.push(number);
    }
    if (this.#deletes.length > 0) this.#changed();
  }

  /** What waited for this exporter when the agent ended; once. */
  take(exporter: string): readonly Queued[] {
    const entries = this.#restored.get(exporter) ?? [];
    this.#restored.delete(exporter);
    return entries;
  }

  async restore(store: Store): Promise<void> {
    await store.load(QUEUED, (cells) => {
      for (let i = 0; i < cells.length; i += 3) {
        const [number, exporter, text] = cells.slice(i, i + 3) as [number, string, string];
        this.#number = Math.max(this.#number, number);
        const entries = this.#restored.get(exporter) ?? [];
        entries.push({ number, observation: observationOf(text) });
        this.#restored.set(exporter, entries);
      }
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#fresh.size === 0 && this.#deletes.length === 0) return;
    const puts: Cell[] = [];
    for (const [number, [exporter, text]] of this.#fresh) puts.push(number, exporter, text);
    changes.push({ table: QUEUED, puts, deletes: this.#deletes });
    this.#fresh = new Map();
    this.#deletes = [];
  }
}

/** A copy whose `self` is no live view: it may be kept. */
export function keptCopy(observation: Observation): Observation {
  const self = observation.self as EvaluatedResource | undefined;
  return self === undefined ? observation : { ...observation, self: keptResource(self, self.attributes) };
}

type Fields = Omit<ResourceView, "attribute">;

function keptResource({ type, id, state, since, first_seen, last_seen, incarnation }: Fields, attributes: Readonly<Record<string, Json>>) {
  const attribute = (name: string): Json | undefined => (Object.hasOwn(attributes, name) ? attributes[name] : undefined);
  return { type, id, state, since, first_seen, last_seen, incarnation, attributes, attribute };
}

function textOf({ body, ...fields }: Observation): string {
  return JSON.stringify({ ...fields, body: wholeBody(body) });
}

function observationOf(text: string): Observation {
  const { body, attributes, time, source, id, traceparent, snapshot, self, transition, lifecycle, deadLetter } = JSON.parse(text) as {
    body: Json; attributes: Attributes; time: number; source: string; id?: string; traceparent?: string; snapshot: boolean;
    self?: Fields & { attributes: Record<string, Json> }; transition?: Transition;
    lifecycle?: LifecycleChange; deadLetter?: NonNullable<Observation["deadLetter"]>;
  };
  const resource = self === undefined ? undefined : keptResource(self, self.attributes);
  const restored = { body: bodyOf(body), attributes, time, source, id, traceparent, snapshot, self: resource, transition };
  return { ...restored, ...(lifecycle === undefined ? {} : { lifecycle }), ...(deadLetter === undefined ? {} : { deadLetter }) };
}
