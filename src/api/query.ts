import { HttpError } from "../sdk/listeners.ts";

const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 1_000;
const SHOWN_LENGTH_MAX = 200;

/** What a cursor is made of. */
export type CursorShape = readonly ("string" | "number")[];

/** A listing's parameters: at most one of each, none empty. */
export interface Query<Name extends string> {
  readonly filter: Readonly<Partial<Record<Name, string>>>;
  readonly limit: number;
  /** What the cursor says, with the types asked for; undefined: from the beginning. */
  readonly after: readonly (string | number)[] | undefined;
}

/** Reads a query. Throws `HttpError` 400 for anything that is not asked for by a name in `names`, `limit` or `cursor`. */
export function readQuery<Name extends string>(query: URLSearchParams, names: readonly Name[], shape: CursorShape): Query<Name> {
  const given = new Map<string, string>();
  const allowed: readonly string[] = [...names, "limit", "cursor"];
  for (const [name, value] of query) {
    if (!allowed.includes(name)) throw new HttpError(400, `there is no parameter ${shown(name)}; allowed: ${allowed.join(", ")}`);
    if (given.has(name)) throw new HttpError(400, `${name} is given twice`);
    if (value === "") throw new HttpError(400, `${name} is empty; give a value or leave it out`);
    given.set(name, value);
  }
  const filter: Partial<Record<Name, string>> = {};
  for (const name of names) {
    const value = given.get(name);
    if (value !== undefined) filter[name] = value;
  }
  return { filter, limit: readLimit(given.get("limit")), after: readCursor(given.get("cursor"), shape) };
}

/** Checks that nothing is asked for. */
export function noQuery(query: URLSearchParams): void {
  for (const name of query.keys()) throw new HttpError(400, `there is no parameter ${shown(name)}; none is allowed here`);
}

/** What somebody sent, for a message: bounded. */
export function shown(text: string): string {
  return text.length <= SHOWN_LENGTH_MAX ? text : `${text.slice(0, SHOWN_LENGTH_MAX)}…`;
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return LIMIT_DEFAULT;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > LIMIT_MAX) throw new HttpError(400, `limit is ${shown(text)}; allowed: 1 to ${LIMIT_MAX}`);
  return limit;
}

function readCursor(text: string | undefined, shape: CursorShape): readonly (string | number)[] | undefined {
  if (text === undefined) return undefined;
  const parts = decoded(text);
  if (!Array.isArray(parts) || parts.length !== shape.length || !shape.every((type, i) => typeof parts[i] === type)) {
    throw new HttpError(400, "cursor is none of this listing; use `next` of the page before as it is");
  }
  return parts as (string | number)[];
}

function decoded(text: string): unknown {
  // Buffer skips what is no base64url.
  if (!/^[A-Za-z0-9_-]+$/.test(text)) return undefined;
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString());
  } catch {
    return undefined;
  }
}
