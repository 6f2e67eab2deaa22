import type { Json } from "../../src/sdk/observation.ts";

/** Text of all keys that are remembered: they are in the position, which is written whenever one comes or goes. */
export const KEYS_CHARS_MAX = 4 * 1_048_576;

/** A position of ours: that of other key columns is none. */
interface KeysPosition {
  readonly key: readonly string[];
  readonly keys: readonly (readonly Json[])[];
}

/**
 * Which rows were there: every key that was handed on and not yet reported missing. Not only those of the last complete result: a
 * row that came with a poll that failed later on must not stay for ever when it has gone by the next.
 */
export class Present {
  readonly #key: readonly string[];
  readonly #known = new Map<string, readonly Json[]>();
  #chars = 0;
  #met = new Set<string>();
  #position: Json;

  constructor(key: readonly string[], stored: Json | undefined) {
    this.#key = key;
    const position = stored as unknown as KeysPosition | undefined;
    if (Array.isArray(position?.keys) && JSON.stringify(position.key) === JSON.stringify(key)) for (const values of position.keys) this.#add(values);
    this.#position = this.#describe();
  }

  get size(): number {
    return this.#known.size;
  }

  get position(): Json {
    return this.#position;
  }

  begin(): void {
    this.#met = new Set();
  }

  /** Notes the keys of a page; true when one is new, so that the position changed. Throws when there is no room for it. */
  meet(rows: readonly (readonly Json[])[]): boolean {
    const before = this.#known.size;
    for (const values of rows) {
      const text = JSON.stringify(values);
      this.#met.add(text);
      if (!this.#known.has(text)) this.#add(values, text);
    }
    if (this.#known.size === before) return false;
    this.#position = this.#describe();
    return true;
  }

  /** What is not in the result that was read to its end since `begin`. */
  missing(): (readonly Json[])[] {
    return [...this.#known].filter(([text]) => !this.#met.has(text)).map(([, values]) => values);
  }

  /** They are reported. */
  drop(gone: readonly (readonly Json[])[]): void {
    for (const values of gone) {
      const text = JSON.stringify(values);
      if (this.#known.delete(text)) this.#chars -= text.length;
    }
    this.#position = this.#describe();
  }

  #add(values: readonly Json[], text = JSON.stringify(values)): void {
    if (this.#chars + text.length > KEYS_CHARS_MAX) {
      throw new Error(`the keys of missing: delete take more than ${KEYS_CHARS_MAX} characters: narrow the query, or have a column say that a row is deleted`);
    }
    this.#chars += text.length;
    this.#known.set(text, values);
  }

  #describe(): Json {
    return { key: this.#key, keys: [...this.#known.values()] };
  }
}
