import type { Json } from "../../sdk/observation.ts";
import type { Remembered } from "./work.ts";

/** Name under which a rule remembers what its groups were at a time, before the number of that time. */
const SAMPLE = "sample:";
const SAMPLES = 200;
const STEP_MS_MIN = 15_000;
/** What was not sampled in time is as it was before, for this part of `earlierMs` at most: the agent was down. */
const GAP_PART = 4;

/** Key of a group, value, key, value …; those without data are left out. */
type Sample = readonly (string | number)[];

/** What the groups of a rule were before: sampled every 1/200 of how far back is looked, not more often than every 15 s. */
export class Samples {
  readonly stepMs: number;
  readonly #earlierMs: number;
  readonly #memory: Remembered;
  /** By number: time divided by `stepMs`. */
  readonly #samples = new Map<number, Sample>();
  #looked: { readonly number: number; readonly values: ReadonlyMap<string, number> | undefined } | undefined;

  constructor(earlierMs: number, memory: Remembered) {
    this.#earlierMs = earlierMs;
    this.stepMs = Math.max(STEP_MS_MIN, Math.ceil(earlierMs / SAMPLES));
    this.#memory = memory;
    for (const [name, value] of memory.entries()) {
      if (!name.startsWith(SAMPLE)) continue;
      const [step, number] = name.slice(SAMPLE.length).split(":").map(Number) as [number, number];
      if (step === this.stepMs) this.#samples.set(number, value as Sample);
      else memory.put(name, undefined);
    }
  }

  /** When the next sample is due. */
  nextMs(now: number): number {
    return (Math.floor(now / this.stepMs) + 1) * this.stepMs;
  }

  /** What the groups are now; too old ones are forgotten. */
  take(now: number, values: Iterable<readonly [key: string, value: number | undefined]>): void {
    const number = Math.floor(now / this.stepMs);
    const sample: (string | number)[] = [];
    for (const [key, value] of values) if (value !== undefined) sample.push(key, value);
    this.#samples.set(number, sample);
    this.#memory.put(this.#name(number), sample as Json);
    const oldest = number - Math.ceil((this.#earlierMs * (1 + 1 / GAP_PART)) / this.stepMs) - 2;
    for (const old of this.#samples.keys()) {
      if (old >= oldest) continue;
      this.#samples.delete(old);
      this.#memory.put(this.#name(old), undefined);
    }
    this.#looked = undefined;
  }

  /** What the groups were, the last time at or before that; undefined where nobody looked. */
  at(now: number): ReadonlyMap<string, number> | undefined {
    const wanted = Math.floor((now - this.#earlierMs) / this.stepMs);
    if (this.#looked?.number === wanted) return this.#looked.values;
    const gap = Math.max(1, Math.floor(this.#earlierMs / GAP_PART / this.stepMs));
    for (let number = wanted; number >= wanted - gap; number--) {
      const sample = this.#samples.get(number);
      if (sample === undefined) continue;
      const values = new Map<string, number>();
      for (let i = 0; i < sample.length; i += 2) values.set(sample[i] as string, sample[i + 1] as number);
      this.#looked = { number: wanted, values };
      return values;
    }
    this.#looked = { number: wanted, values: undefined };
    return undefined;
  }

  #name(number: number): string {
    return `${SAMPLE}${this.stepMs}:${number}`;
  }

  /** Forgets all: it was another measure. */
  static clear(memory: Remembered): void {
    for (const [name] of memory.entries()) if (name.startsWith(SAMPLE)) memory.put(name, undefined);
  }
}
