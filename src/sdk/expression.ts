import type { Attributes, Body, Json } from "./observation.ts";
import type { ResourceView, Transition } from "./resource.ts";

/** What an expression may read. An observation is one; a rule evaluated by a timer has only `self`. */
export interface Scope {
  readonly body?: Body;
  readonly attributes?: Attributes;
  /** ms since the epoch; a timestamp in CEL. */
  readonly time?: number;
  readonly source?: string;
  readonly self?: ResourceView | undefined;
  readonly transition?: Transition | undefined;
  /** What a rule has measured; undefined where there is no data. */
  readonly value?: Json | undefined;
  /** The same, as it was a stated time earlier. */
  readonly earlier?: Json | undefined;
  /** Labels of the group that a rule is about. */
  readonly group?: Readonly<Record<string, string>> | undefined;
}

/** Names in scope besides `now`, which always is. */
export type ScopeName = "body" | "attributes" | "time" | "source" | "self" | "transition" | "value" | "earlier" | "group";

/** A CEL timestamp, at millisecond resolution inside. */
export class Timestamp {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** A CEL duration. */
export class Duration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** A type as a value: what `type(x)` gives and what `int`, `string` and so on name. */
export class TypeValue {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

/**
 * A value of an expression. As in CEL: a double is a number (every JSON number is one), an int or uint a bigint,
 * bytes a Uint8Array; lists and maps are JSON's, or a list or map of values made by the expression itself.
 */
export type Value =
  | Json
  | bigint
  | Uint8Array
  | Timestamp
  | Duration
  | TypeValue
  | readonly Value[]
  | ReadonlyMap<Value, Value>;

/** Evaluation failed: a missing field, say. Returned, not thrown; made once for each place in the source. */
export class Failure {
  readonly message: string;
  constructor(message: string) {
    this.message = message;
  }
}

/** What an expression reads, so that a plan knows which fields of a body must be located. */
export interface Reads {
  /** Paths below `body` that are read, dotted for people: `order.id`. Empty string: the whole body. */
  readonly body: ReadonlySet<string>;
  /** The same paths, as keys. */
  readonly bodyPaths: readonly (readonly string[])[];
  /** Names below `self`. */
  readonly self: ReadonlySet<string>;
  readonly scope: ReadonlySet<ScopeName>;
  /** Reads the clock: its value changes by itself. */
  readonly now: boolean;
}

/** A compiled expression: no side effects, terminates, never throws. */
export interface Expression {
  readonly text: string;
  readonly reads: Reads;
  /** `now` in ms. */
  evaluate(scope: Scope, now: number): Value | Failure;
}

/** Text that is no expression: `offset` is where, in UTF-16 units from its start. */
export class ExpressionError extends Error {
  override name = "ExpressionError";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}
