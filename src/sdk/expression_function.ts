import { Failure } from "./expression.ts";
import type { Value } from "./expression.ts";
import { LENGTH_MAX } from "./expression_value.ts";
import type { Frame } from "./expression_value.ts";

/** A function of the library. */
export interface CelFunction {
  /** Fewest and most arguments when called `name(…)`; undefined: it is no function. */
  readonly call?: readonly [number, number];
  /** The same, without the target, when called `x.name(…)`. */
  readonly method?: readonly [number, number];
  /** A constant argument on which it fails makes the text an error. */
  readonly conversion?: boolean;
  /**
   * The target is the first argument. A `Failure` holds the reason alone; undefined: not for these types.
   * Whoever works longer than in proportion to the number of arguments adds to `frame.steps`.
   */
  run(args: readonly Value[], frame: Frame): Value | Failure | undefined;
}

/** Functions by name. */
export type Library = Readonly<Record<string, CelFunction>>;

export const TOO_LONG = new Failure(`longer than ${LENGTH_MAX.toLocaleString("en")}`);
export const INT_OVERFLOW = new Failure("int overflow");
const INT_MIN = -(2n ** 63n);
const INT_MAX = 2n ** 63n - 1n;

/** An int of 64 bits, as in CEL. */
export function int64(value: bigint): bigint | Failure {
  return value >= INT_MIN && value <= INT_MAX ? value : INT_OVERFLOW;
}

/** An argument that counts or indexes: an int, or a number without fraction. Undefined when it is neither. */
export function integer(value: Value | undefined): number | undefined {
  if (typeof value === "bigint") return Number(value);
  return typeof value === "number" && Number.isInteger(value) ? value : undefined;
}
