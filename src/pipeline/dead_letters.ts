import type { Clock } from "../sdk/clock.ts";
import type { Json } from "../sdk/observation.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../sdk/store.ts";

const CONTENT_LENGTH_MAX = 16_384;

const DEAD_LETTERS: Table = {
  name: "dead_letters",
  columns: [["number", "integer"], ["at", "integer"], ["component", "text"], ["reason", "text"], ["content", "json"]],
  keyColumns: 1,
};

/** Something that could not be handled or delivered, kept for a person to look at. */
export interface DeadLetter {
  readonly number: number;
  /** ms since the epoch. */
  readonly at: number;
  readonly component: string;
  readonly reason: string;
  readonly content: Json;
}

/** The last dead letters; when there are `max`, the oldest goes. */
export class DeadLetters implements Persistent {
  readonly tables = [DEAD_LETTERS];
  readonly #clock: Clock;
  readonly #max: () => number;
  readonly #letters = new Map<number, DeadLetter>();
  #fresh = new Set<number>();
  #deletes: Cell[] = [];
  #number = 0;
  #tell: ((letter: DeadLetter) => void) | undefined;

  constructor(clock: Clock, max: () => number) {
    this.#clock = clock;
    this.#max = max;
  }

  add(component: string, reason: string, content: Json): void {
    const letter: DeadLetter = { number: ++this.#number, at: this.#clock.now(), component, reason: reason.slice(0, 1_000), content: bounded(content) };
    this.#letters.set(letter.number, letter);
    this.#fresh.add(letter.number);
    this.#tell?.(letter);
    for (const oldest of this.#letters.keys()) {
      if (this.#letters.size <= this.#max()) break;
      this.#letters.delete(oldest);
      if (!this.#fresh.delete(oldest)) this.#deletes.push(oldest);
    }
  }

  /** From now on `tell` hears of each one as it is added. */
  watch(tell: ((letter: DeadLetter) => void) | undefined): void {
    this.#tell = tell;
  }

  get(number: number): DeadLetter | undefined {
    return this.#letters.get(number);
  }

  /** It was dealt with. Something must be committed then. */
  remove(number: number): void {
    if (this.#letters.delete(number) && !this.#fresh.delete(number)) this.#deletes.push(number);
  }

  /** Newest first, at most `limit`, older than `before`. */
  list(before: number | undefined, limit: number): DeadLetter[] {
    const letters = [...this.#letters.values()].reverse();
    return letters.filter(({ number }) => before === undefined || number < before).slice(0, limit);
  }

  async restore(store: Store): Promise<void> {
    const letters: DeadLetter[] = [];
    await store.load(DEAD_LETTERS, (cells) => {
      for (let i = 0; i < cells.length; i += 5) {
        const [number, at, component, reason, content] = cells.slice(i, i + 5) as [number, number, string, string, string];
        letters.push({ number, at, component, reason, content: JSON.parse(content) as Json });
      }
    });
    letters.sort((a, b) => a.number - b.number);
    for (const letter of letters) this.#letters.set(letter.number, letter);
    this.#number = letters.at(-1)?.number ?? 0;
  }

  drain(changes: TableChange[]): void {
    if (this.#fresh.size === 0 && this.#deletes.length === 0) return;
    const puts: Cell[] = [];
    for (const number of this.#fresh) {
      const { at, component, reason, content } = this.#letters.get(number)!;
      puts.push(number, at, component, reason, JSON.stringify(content));
    }
    changes.push({ table: DEAD_LETTERS, puts, deletes: this.#deletes });
    this.#fresh = new Set();
    this.#deletes = [];
  }
}

/** Content that is too large is kept as the beginning of its text. */
function bounded(content: Json): Json {
  let text: string;
  try {
    text = JSON.stringify(content);
  } catch {
    return "(too deep to be shown)";
  }
  return text.length <= CONTENT_LENGTH_MAX ? content : `${text.slice(0, CONTENT_LENGTH_MAX)}…`;
}
