import { hash } from "node:crypto";
import type { Json } from "../../src/sdk/observation.ts";
import { advances, type Mark } from "./mark.ts";
import type { Cell } from "./session.ts";

/** Rows of the window that are remembered: 11 characters each in the position. */
export const SEEN_MAX = 100_000;
/** After forgetting, so that not every further page forgets. */
const KEPT_SHARE = 0.9;
/** Rows of one value that may be in memory: they cannot be parted. */
const TIE_MAX = 1_000_000;
const HASH_CHARS = 11;
/** Checkpoints within an overlap: how exactly its age is known. */
const CHECKPOINTS = 20;

/** Where to read from. */
export interface From {
  readonly mark: Mark;
  readonly exclusive: boolean;
}

interface State {
  /** Up to where rows were seen: the largest value that is not out of line. */
  readonly cursor?: Mark | undefined;
  readonly from?: From | undefined;
  /** What the cursor was, and when: ms and mark, oldest first. */
  readonly checkpoints: readonly (readonly [number, Mark])[];
  /** Hashes of the rows from `from` on that were seen, one after the other. */
  readonly seen: string;
}

/** A position of ours: that of another column is none. */
export interface TrackingPosition extends State {
  readonly tracking_column: string;
}

/**
 * Which rows of a tracked query are new.
 *
 * A transaction takes its value of the column before it commits. So a row may appear behind the cursor, and only the time that
 * transactions take says how far: whatever appears now took its value within `overlapMs`, so after the largest value that could be
 * seen so long ago. Each poll reads from that checkpoint on and leaves out what was seen, known by a hash of the whole row (how
 * often, if rows are equal). No value is calculated with, and only the database compares any.
 */
export class Window {
  readonly #column: string;
  readonly #overlapMs: number;
  #cursor: Mark | undefined;
  #from: From | undefined;
  #checkpoints: (readonly [number, Mark])[];
  /** Seen before this poll, and not yet met in it. */
  #rest = new Map<string, number>();
  #restCount = 0;
  /** Hashes of this poll's rows, in order, and where each value begins among them. */
  #read = "";
  #readCount = 0;
  #groups: { readonly mark: Mark; readonly at: number; readonly inLine: boolean }[] = [];
  #position: TrackingPosition;
  /** The position is older than what it is made of. */
  #changed = false;
  #warning: string | undefined;

  constructor(column: string, overlapMs: number, start: Mark | undefined, stored: Json | undefined) {
    this.#column = column;
    this.#overlapMs = overlapMs;
    const state = stateOf(stored, column) ?? { checkpoints: [], seen: "", from: start === undefined ? undefined : { mark: start, exclusive: false } };
    this.#cursor = state.cursor;
    this.#from = state.from;
    this.#checkpoints = [...state.checkpoints];
    this.#remember(state.seen);
    this.#position = { tracking_column: column, ...state };
  }

  get cursor(): Mark | undefined {
    return this.#cursor;
  }

  get from(): From | undefined {
    return this.#from;
  }

  /** Rows remembered. */
  get size(): number {
    return this.#restCount + this.#readCount;
  }

  /** What is to be committed with the rows taken so far. While one value has more rows than are remembered: as before them. */
  get position(): Json {
    if (this.#changed && this.size <= SEEN_MAX) {
      this.#position = this.#describe();
      this.#changed = false;
    }
    return this.#position as unknown as Json;
  }

  /** The value is another than that of the row before. */
  begins(mark: Mark): boolean {
    return this.#groups.at(-1)?.mark.value !== mark.value;
  }

  /** Takes the next row, in the order of the column. `ahead`: the database finds it at or after the cursor. True: it is new. */
  take(cells: readonly Cell[], mark: Mark, ahead: boolean, now: number): boolean {
    const inLine = advances(mark, this.#cursor, now);
    if (this.begins(mark)) this.#groups.push({ mark, at: this.#readCount, inLine });
    if (ahead && inLine) this.#cursor = mark;
    const key = hashOf(cells);
    this.#read += key;
    this.#readCount++;
    const count = this.#rest.get(key);
    if (count === undefined) return true;
    if (count === 1) this.#rest.delete(key);
    else this.#rest.set(key, count - 1);
    this.#restCount--;
    return false;
  }

  /** After each page: forgets the oldest rows beyond the limit, and makes a new position. */
  settle(): void {
    this.#trim();
    this.#changed ||= this.size <= SEEN_MAX;
    if (this.size > TIE_MAX) throw new Error(`more than ${TIE_MAX} rows have the same ${this.#column} (${this.#groups.at(-1)?.mark.value})`);
  }

  /**
   * The poll has read everything. `askedAt`: before the query; `answeredAt`: after its first rows. Gives what is wrong if more rows
   * came than are remembered.
   */
  complete(askedAt: number, answeredAt: number): string | undefined {
    this.#rest.clear();
    this.#restCount = 0;
    this.#trim();
    if (this.size > SEEN_MAX) this.#crowd();
    this.#again();
    const newest = this.#checkpoints.at(-1);
    if (this.#cursor !== undefined && (newest === undefined || newest[0] + this.#overlapMs / CHECKPOINTS <= answeredAt || newest[0] > answeredAt)) {
      this.#checkpoints.push([answeredAt, this.#cursor]);
    }
    // A clock that was set back: what is dated in the future would never be reached.
    this.#checkpoints = this.#checkpoints.filter(([at]) => at <= answeredAt);
    const safe = this.#checkpoints.findLastIndex(([at]) => at <= askedAt - this.#overlapMs);
    if (safe >= 0) {
      const [, mark] = this.#checkpoints[safe]!;
      this.#checkpoints.splice(0, safe + 1);
      if (mark.value !== this.#from?.mark.value) this.#from = { mark, exclusive: false };
    }
    this.#changed = true;
    return this.#said();
  }

  /** The poll ends before the end: what it did not come to stays remembered. Gives what `complete` does. */
  pause(): string | undefined {
    this.settle();
    this.#again();
    return this.#said();
  }

  #said(): string | undefined {
    const warning = this.#warning;
    this.#warning = undefined;
    return warning;
  }

  /** What this poll has read is what the next one has seen. */
  #again(): void {
    this.#remember(this.#read);
    this.#read = "";
    this.#readCount = 0;
    this.#groups = [];
  }

  /** Rows up to a value go: they are not read again either. */
  #trim(): void {
    const count = this.size > SEEN_MAX ? this.size - Math.floor(SEEN_MAX * KEPT_SHARE) : 0;
    const index = count === 0 ? -1 : this.#groups.findIndex(({ at, inLine }, i) => at >= count && inLine && this.#groups[i - 1]?.inLine === true);
    if (index < 0) return;
    // Without one this is the first reading of a table: who commits late is at its end.
    if (this.#checkpoints.length > 0) this.#warning = `more than ${SEEN_MAX} rows within tracking_overlap: one that is committed late may not be seen`;
    this.#drop(index);
  }

  /** One value has too many rows: they go with all before them. */
  #crowd(): void {
    const last = this.#groups.findLastIndex(({ inLine }) => inLine);
    if (last < 0) throw new Error(`more than ${SEEN_MAX} rows have a ${this.#column} that is out of line, such as ${this.#groups[0]?.mark.value}`);
    this.#warning = `more than ${SEEN_MAX} rows have the same ${this.#column} (${this.#groups[last]!.mark.value}): one that is committed later with the same value will not be seen`;
    this.#drop(last + 1);
  }

  #drop(groups: number): void {
    const { mark } = this.#groups[groups - 1]!;
    const rows = this.#groups[groups]?.at ?? this.#readCount;
    this.#read = this.#read.slice(rows * HASH_CHARS);
    this.#readCount -= rows;
    this.#groups = this.#groups.slice(groups).map((group) => ({ ...group, at: group.at - rows }));
    this.#after(mark);
  }

  #after(mark: Mark): void {
    this.#from = { mark, exclusive: true };
    // They may lie before it, and only the database could say.
    this.#checkpoints = [];
  }

  #remember(keys: string): void {
    for (let at = 0; at < keys.length; at += HASH_CHARS) {
      const key = keys.slice(at, at + HASH_CHARS);
      this.#rest.set(key, (this.#rest.get(key) ?? 0) + 1);
      this.#restCount++;
    }
  }

  #describe(): TrackingPosition {
    let seen = this.#read;
    for (const [key, count] of this.#rest) seen += count === 1 ? key : key.repeat(count);
    return { tracking_column: this.#column, cursor: this.#cursor, from: this.#from, checkpoints: [...this.#checkpoints], seen };
  }
}

/** Of all its columns; 64 bits, as text. With kinds and lengths, so that no two rows read the same. */
function hashOf(cells: readonly Cell[]): string {
  let text = "";
  for (const cell of cells) {
    if (cell === null) text += "-;";
    else if (typeof cell === "string") text += `${cell.length}:${cell};`;
    else if (cell instanceof Uint8Array) text += `x${Buffer.from(cell).toString("base64")};`;
    else text += `${typeof cell}${cell};`;
  }
  return hash("sha256", text, "base64url").slice(0, HASH_CHARS);
}

function stateOf(stored: Json | undefined, column: string): State | undefined {
  const position = stored as unknown as TrackingPosition | undefined;
  return position?.tracking_column === column ? position : undefined;
}
