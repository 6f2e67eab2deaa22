import { createHash } from "node:crypto";
import type { Clock } from "../../sdk/clock.ts";
import { matcherError, matchesAll, parseMatcher, type Matcher } from "../../sdk/matchers.ts";
import type { Cell, Persistent, Store, Table, TableChange } from "../../sdk/store.ts";

/** Silences made by the API, over or not. */
const SILENCES_MAX = 1_000;
const MATCHERS_MAX = 50;
const TEXT_LENGTH_MAX = 1_000;
/** A silence that is over is shown this long. */
const KEPT_MS = 5 * 24 * 3_600_000;

const SILENCES: Table = {
  name: "silences",
  columns: [["id", "text"], ["matchers", "json"], ["starts_at", "integer"], ["ends_at", "integer"], ["created_by", "text"], ["comment", "text"], ["created_at", "integer"]],
  keyColumns: 1,
};

/** What a new silence says. Times in ms since the epoch. */
export interface SilenceRequest {
  /** As `name=value`; all must hold. At least one that does not match everything. */
  readonly matchers: readonly string[];
  /** Default: now. */
  readonly startsAt?: number | undefined;
  readonly endsAt: number;
  readonly createdBy: string;
  readonly comment: string;
}

/** A silence: new alerts that match it are not told while it is active. */
export interface Silence extends Required<SilenceRequest> {
  readonly id: string;
  readonly startsAt: number;
  /** Those of the configuration cannot be ended by the API. */
  readonly origin: "config" | "api";
  readonly state: "pending" | "active" | "expired";
}

/** `service.silences`, as validated. Times in ms since the epoch. */
export interface ConfiguredSilence extends SilenceRequest {
  readonly id?: string | undefined;
}

/** Why a silence is not taken. Its message may be shown. */
export class SilenceError extends Error {
  override name = "SilenceError";
  readonly kind: "invalid" | "unknown" | "conflict";
  constructor(kind: SilenceError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

interface Kept {
  readonly id: string;
  readonly texts: readonly string[];
  readonly matchers: readonly Matcher[];
  readonly startsAt: number;
  readonly endsAt: number;
  readonly createdBy: string;
  readonly comment: string;
  readonly createdAt: number;
  readonly origin: Silence["origin"];
}

export interface SilencesOptions {
  readonly clock: Clock;
  /** What is silenced may differ from now on, and something may have to be committed. */
  readonly changed: () => void;
}

/** Silences of the configuration and of the API. */
export class Silences implements Persistent {
  readonly tables = [SILENCES];
  readonly #options: SilencesOptions;
  #configured: readonly Kept[] = [];
  readonly #added = new Map<string, Kept>();
  readonly #dirty = new Set<string>();
  #deletes: Cell[] = [];
  /** Rises with every change. */
  version = 0;

  constructor(options: SilencesOptions) {
    this.#options = options;
  }

  /** Takes those of another configuration. */
  configure(silences: readonly ConfiguredSilence[]): void {
    if (silences.length === 0 && this.#configured.length === 0) return;
    this.#configured = silences.map((silence) => {
      const startsAt = silence.startsAt ?? 0;
      return { ...silence, id: silence.id ?? idOf(silence, startsAt), startsAt, texts: silence.matchers, matchers: silence.matchers.map(parseMatcher), createdAt: 0, origin: "config" };
    });
    this.#changed();
  }

  /** Adds one; its id. Throws `SilenceError` with what is wrong. Durable with the next commit. */
  add(request: SilenceRequest): string {
    const now = this.#options.clock.now();
    const matchers = checked(request, now);
    this.#tidy(now);
    if (this.#added.size >= SILENCES_MAX) throw new SilenceError("conflict", `there are ${SILENCES_MAX} silences already; those that are over go after 5d`);
    const startsAt = Math.max(now, request.startsAt ?? now);
    let id = idOf(request, now);
    while (this.#added.has(id)) id = idOf(request, now, id);
    this.#added.set(id, { ...request, id, startsAt, texts: request.matchers, matchers, createdAt: now, origin: "api" });
    this.#dirty.add(id);
    this.#changed();
    return id;
  }

  /** Ends one now. Throws `SilenceError` where it cannot. */
  expire(id: string): void {
    const now = this.#options.clock.now();
    if (this.#configured.some((silence) => silence.id === id)) throw new SilenceError("conflict", `silence ${id} is in the configuration (service.silences): end it there`);
    const silence = this.#added.get(id);
    if (silence === undefined) throw new SilenceError("unknown", `there is no silence ${id}`);
    if (silence.endsAt <= now) throw new SilenceError("conflict", `silence ${id} is over already`);
    this.#added.set(id, { ...silence, startsAt: Math.min(silence.startsAt, now), endsAt: now });
    this.#dirty.add(id);
    this.#changed();
  }

  /** Active ones first, then those to come, then those that are over. */
  list(): Silence[] {
    const now = this.#options.clock.now();
    this.#tidy(now);
    const order = ["active", "pending", "expired"];
    return this.#all().map((kept) => shown(kept, now)).sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.endsAt - b.endsAt);
  }

  get(id: string): Silence | undefined {
    return this.list().find((silence) => silence.id === id);
  }

  /** Ids of the silences that hold for these labels now. */
  of(labels: Readonly<Record<string, string>>): readonly string[] {
    const now = this.#options.clock.now();
    return this.#all().filter((kept) => kept.startsAt <= now && now < kept.endsAt && matchesAll(kept.matchers, labels)).map(({ id }) => id);
  }

  /** Tells whether labels are silenced now; undefined when nothing is. For asking often. */
  active(): ((labels: Readonly<Record<string, string>>) => boolean) | undefined {
    const now = this.#options.clock.now();
    const active = this.#all().filter(({ startsAt, endsAt }) => startsAt <= now && now < endsAt);
    return active.length === 0 ? undefined : (labels) => active.some(({ matchers }) => matchesAll(matchers, labels));
  }

  /** When the next one ends; ms, Infinity: none is active or to come. */
  nextEndMs(): number {
    const now = this.#options.clock.now();
    return this.#all().reduce((next, { endsAt }) => (endsAt > now ? Math.min(next, endsAt) : next), Infinity);
  }

  async restore(store: Store): Promise<void> {
    await store.load(SILENCES, (cells) => {
      for (let i = 0; i < cells.length; i += 7) {
        const [id, matchers, startsAt, endsAt, createdBy, comment, createdAt] = cells.slice(i, i + 7) as [string, string, number, number, string, string, number];
        const texts = JSON.parse(matchers) as string[];
        // What another version took for a matcher must not keep the agent from starting.
        if (texts.some((text) => matcherError(text) !== undefined)) continue;
        this.#added.set(id, { id, texts, matchers: texts.map(parseMatcher), startsAt, endsAt, createdBy, comment, createdAt, origin: "api" });
      }
    });
  }

  drain(changes: TableChange[]): void {
    if (this.#dirty.size === 0 && this.#deletes.length === 0) return;
    const puts: Cell[] = [];
    for (const id of this.#dirty) {
      const { texts, startsAt, endsAt, createdBy, comment, createdAt } = this.#added.get(id)!;
      puts.push(id, JSON.stringify(texts), Math.round(startsAt), Math.round(endsAt), createdBy, comment, Math.round(createdAt));
    }
    changes.push({ table: SILENCES, puts, deletes: this.#deletes });
    this.#dirty.clear();
    this.#deletes = [];
  }

  #changed(): void {
    this.version++;
    this.#options.changed();
  }

  #all(): Kept[] {
    return [...this.#configured, ...this.#added.values()];
  }

  #tidy(now: number): void {
    for (const { id, endsAt } of this.#added.values()) {
      if (endsAt + KEPT_MS > now) continue;
      this.#added.delete(id);
      this.#dirty.delete(id);
      this.#deletes.push(id);
    }
  }
}

function checked({ matchers, startsAt, endsAt, createdBy, comment }: SilenceRequest, now: number): Matcher[] {
  const invalid = (message: string, cause?: unknown): SilenceError => new SilenceError("invalid", message, { cause });
  if (matchers.length === 0 || matchers.length > MATCHERS_MAX) throw invalid(`matchers: allowed: 1 to ${MATCHERS_MAX}`);
  const parsed = matchers.map((text, i) => {
    if (text.length > TEXT_LENGTH_MAX) throw invalid(`matchers[${i}] is too long; allowed: at most ${TEXT_LENGTH_MAX} characters`);
    try {
      return parseMatcher(text);
    } catch (error) {
      throw invalid(`matchers[${i}] "${text.slice(0, 80)}" ${error instanceof Error ? error.message : String(error)}`, error);
    }
  });
  if (matchesAll(parsed, {})) throw invalid("matchers: these hold for an alert without any labels, so for all; at least one must need a label");
  if (!Number.isFinite(endsAt) || endsAt <= now) throw invalid("ends_at must be in the future");
  if (startsAt !== undefined && !(startsAt < endsAt)) throw invalid("starts_at must be before ends_at");
  for (const [name, text] of [["created_by", createdBy], ["comment", comment]] as const) {
    if (text.trim() === "") throw invalid(`${name} must not be empty`);
    if (text.length > TEXT_LENGTH_MAX) throw invalid(`${name} is too long; allowed: at most ${TEXT_LENGTH_MAX} characters`);
  }
  return parsed;
}

function idOf({ matchers, endsAt, createdBy, comment }: SilenceRequest, at: number, before = ""): string {
  return createHash("sha256").update(JSON.stringify([matchers, at, endsAt, createdBy, comment, before])).digest("hex").slice(0, 16);
}

function shown({ id, texts, startsAt, endsAt, createdBy, comment, origin }: Kept, now: number): Silence {
  const state = endsAt <= now ? "expired" : startsAt > now ? "pending" : "active";
  return { id, matchers: texts, startsAt, endsAt, createdBy, comment, origin, state };
}
