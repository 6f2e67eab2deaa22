import { Duration, Failure, Timestamp } from "./expression.ts";
import type { Value } from "./expression.ts";
import { INT_OVERFLOW, int64, TOO_LONG } from "./expression_function.ts";
import { DURATION_MAX_MS } from "./expression_library.ts";
import { nodeOver } from "./expression_node.ts";
import type { Node } from "./expression_node.ts";
import type { Site } from "./expression_site.ts";
import { compare, equal, isFailure, isJsonMap, isList, keyOf, LENGTH_MAX, OVER_BUDGET, STEPS_MAX } from "./expression_value.ts";
import type { Fn, Frame, MadeMap } from "./expression_value.ts";

const DIVIDE_BY_ZERO = new Failure("divide by zero");
const MODULUS_BY_ZERO = new Failure("modulus by zero");
const OUT_OF_RANGE = new Failure("out of range");

/** A failure without its place gets one. */
export function finish(result: Value | Failure | undefined, site: Site, ...values: readonly Value[]): Value | Failure {
  if (result === undefined) return site.overload(...values);
  return result instanceof Failure && result !== OVER_BUDGET ? site.fail(result.message) : result;
}

type Slow = (a: Value, b: Value, frame: Frame) => Value | Failure | undefined;

const timestamp = (ms: number): Timestamp | Failure =>
  ms >= -62_135_596_800_000 && ms <= 253_402_300_799_999 ? new Timestamp(ms) : OUT_OF_RANGE;
const duration = (ms: number): Duration | Failure => (Math.abs(ms) <= DURATION_MAX_MS ? new Duration(ms) : OUT_OF_RANGE);

function addMore(a: Value, b: Value, frame: Frame): Value | Failure | undefined {
  if (typeof a === "string" && typeof b === "string") return a.length + b.length > LENGTH_MAX ? TOO_LONG : a + b;
  if (a instanceof Timestamp && b instanceof Duration) return timestamp(a.ms + b.ms);
  if (a instanceof Duration && b instanceof Timestamp) return timestamp(a.ms + b.ms);
  if (a instanceof Duration && b instanceof Duration) return duration(a.ms + b.ms);
  if (isList(a) && isList(b)) {
    frame.steps += a.length + b.length;
    return a.length + b.length > LENGTH_MAX ? TOO_LONG : [...a, ...b];
  }
  if (!(a instanceof Uint8Array) || !(b instanceof Uint8Array)) return undefined;
  return a.length + b.length > LENGTH_MAX ? TOO_LONG : new Uint8Array(Buffer.concat([a, b]));
}

function subtractMore(a: Value, b: Value): Value | Failure | undefined {
  if (a instanceof Timestamp && b instanceof Timestamp) return duration(a.ms - b.ms);
  if (a instanceof Timestamp && b instanceof Duration) return timestamp(a.ms - b.ms);
  return a instanceof Duration && b instanceof Duration ? duration(a.ms - b.ms) : undefined;
}

/** An int beside a double becomes one: the difference from CEL that JSON numbers ask for. */
function numeric(ofInts: (a: bigint, b: bigint) => bigint | Failure, ofDoubles: (a: number, b: number) => number | Failure, more?: Slow): Slow {
  return (a, b, frame) => {
    const typeA = typeof a;
    const typeB = typeof b;
    if (typeA === "bigint" && typeB === "bigint") return ofInts(a as bigint, b as bigint);
    const numbers = (typeA === "number" || typeA === "bigint") && (typeB === "number" || typeB === "bigint");
    return numbers ? ofDoubles(Number(a), Number(b)) : more?.(a, b, frame);
  };
}

const SLOW: Readonly<Record<string, Slow>> = {
  "_+_": numeric((a, b) => int64(a + b), (a, b) => a + b, addMore),
  "_-_": numeric((a, b) => int64(a - b), (a, b) => a - b, subtractMore),
  "_*_": numeric((a, b) => int64(a * b), (a, b) => a * b),
  "_/_": numeric((a, b) => (b === 0n ? DIVIDE_BY_ZERO : int64(a / b)), (a, b) => a / b),
  "_%_": numeric((a, b) => (b === 0n ? MODULUS_BY_ZERO : a % b), (a, b) => (b === 0 ? MODULUS_BY_ZERO : a % b)),
};

/** `a + b` and so on. */
export function arithmetic(name: string, left: Node, right: Node, site: Site): Node {
  const slow = SLOW[name]!;
  const [l, r] = [left.fn, right.fn];
  const rest = (a: Value | Failure, b: Value | Failure, frame: Frame): Value | Failure => {
    if (isFailure(a)) return a;
    return isFailure(b) ? b : finish(slow(a, b, frame), site, a, b);
  };
  const c = right.constant;
  const n = typeof c === "bigint" ? Number(c) : c;
  // A constant on the right: one closure per operator, so that each stays monomorphic.
  if (typeof n === "number" && name === "_+_") return nodeOver([left, right], (s, f) => { const a = l(s, f); return typeof a === "number" ? a + n : rest(a, c!, f); });
  if (typeof n === "number" && name === "_-_") return nodeOver([left, right], (s, f) => { const a = l(s, f); return typeof a === "number" ? a - n : rest(a, c!, f); });
  if (typeof n === "number" && name === "_*_") return nodeOver([left, right], (s, f) => { const a = l(s, f); return typeof a === "number" ? a * n : rest(a, c!, f); });
  if (typeof n === "number" && name === "_/_") return nodeOver([left, right], (s, f) => { const a = l(s, f); return typeof a === "number" ? a / n : rest(a, c!, f); });
  return nodeOver([left, right], (s, f) => rest(l(s, f), r(s, f), f));
}

/** `-a`. */
export function negate(part: Node, site: Site): Node {
  const { fn } = part;
  return nodeOver([part], (s, f) => {
    const a = fn(s, f);
    if (typeof a === "number") return -a;
    if (isFailure(a)) return a;
    if (typeof a === "bigint") return finish(int64(-a), site);
    return a instanceof Duration ? new Duration(-a.ms) : site.overload(a);
  });
}

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  "_<_": (order) => order < 0, "_<=_": (order) => order <= 0, "_>_": (order) => order > 0, "_>=_": (order) => order >= 0,
};
const MIRRORED: Readonly<Record<string, string>> = { "_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_" };

/** `a < b` and so on. */
export function ordering(name: string, left: Node, right: Node, site: Site): Node {
  if (left.constant !== undefined && right.constant === undefined) return ordering(MIRRORED[name]!, right, left, site);
  const holds = ORDERS[name]!;
  const [l, r] = [left.fn, right.fn];
  const rest = (a: Value | Failure, b: Value | Failure): boolean | Failure => {
    if (isFailure(a)) return a;
    if (isFailure(b)) return b;
    const order = compare(a, b);
    return order === undefined ? site.overload(a, b) : holds(order);
  };
  const parts = [left, right];
  const c = right.constant;
  const n = typeof c === "bigint" ? Number(c) : c;
  if (typeof n === "number") {
    // No bigint is touched when the value is a number, as all of JSON's are.
    if (name === "_<_") return nodeOver(parts, (s, f) => { const a = l(s, f); return typeof a === "number" ? a < n : rest(a, c!); });
    if (name === "_<=_") return nodeOver(parts, (s, f) => { const a = l(s, f); return typeof a === "number" ? a <= n : rest(a, c!); });
    if (name === "_>_") return nodeOver(parts, (s, f) => { const a = l(s, f); return typeof a === "number" ? a > n : rest(a, c!); });
    return nodeOver(parts, (s, f) => { const a = l(s, f); return typeof a === "number" ? a >= n : rest(a, c!); });
  }
  return nodeOver(parts, (s, f) => rest(l(s, f), r(s, f)));
}

const spent = (frame: Frame): boolean => frame.steps > STEPS_MAX;

/** `a == b`, or `a != b`. */
export function equality(left: Node, right: Node, wanted: boolean): Node {
  if (left.constant !== undefined && right.constant === undefined) return equality(right, left, wanted);
  const [l, r] = [left.fn, right.fn];
  const parts = [left, right];
  const rest = (a: Value | Failure, b: Value | Failure, f: Frame): boolean | Failure => {
    if (isFailure(a)) return a;
    if (isFailure(b)) return b;
    const same = equal(a, b, f);
    return spent(f) ? OVER_BUDGET : same === wanted;
  };
  const c = right.constant;
  if (typeof c === "string" || typeof c === "boolean" || c === null) {
    return nodeOver(parts, (s, f) => {
      const a = l(s, f);
      return a === c ? wanted : a instanceof Failure ? a : !wanted;
    });
  }
  const n = typeof c === "bigint" ? Number(c) : c;
  if (typeof n === "number" && (typeof c === "number" || Number.isSafeInteger(n))) {
    return nodeOver(parts, (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? (a === n) === wanted : rest(a, c!, f);
    });
  }
  return nodeOver(parts, (s, f) => rest(l(s, f), r(s, f), f));
}

/** Membership in a constant list, by hash where all are texts or all are numbers; undefined where it takes a search. */
function hashed(list: readonly Value[]): ((value: Value) => boolean) | undefined {
  if (list.every((item) => typeof item === "string")) {
    const texts = new Set<Value>(list);
    return (value) => texts.has(value);
  }
  if (!list.every((item) => Number.isSafeInteger(typeof item === "bigint" ? Number(item) : item))) return undefined;
  const numbers = new Set(list.map(Number));
  return (value) => (typeof value === "number" ? numbers.has(value) : typeof value === "bigint" && numbers.has(Number(value)) && int64(value) !== INT_OVERFLOW);
}

/** `a in b`. */
export function membership(left: Node, right: Node, site: Site): Node {
  const [l, r] = [left.fn, right.fn];
  const parts = [left, right];
  const c = right.constant;
  const has = c !== undefined && isList(c) ? hashed(c) : undefined;
  if (has !== undefined) {
    return nodeOver(parts, (s, f) => {
      const a = l(s, f);
      return a instanceof Failure ? a : has(a);
    });
  }
  return nodeOver(parts, (s, f) => {
    const a = l(s, f);
    if (isFailure(a)) return a;
    const b = r(s, f);
    if (isFailure(b)) return b;
    if (isList(b)) {
      const found = b.some((item) => spent(f) || equal(item, a, f));
      return spent(f) ? OVER_BUDGET : found;
    }
    if (a === null || typeof a === "object") return site.overload(a, b);
    if (b instanceof Map) {
      const key = keyOf(a);
      return key !== undefined && (b as MadeMap).has(key);
    }
    if (!isJsonMap(b)) return site.overload(a, b);
    return typeof a === "string" && Object.hasOwn(b, a);
  });
}

/** `a && b` with `stop` false, `a || b` with `stop` true: a failure on one side yields to the other's `stop`. */
export function logic(left: Node, right: Node, stop: boolean, site: Site): Node {
  const [l, r] = [left.fn, right.fn];
  const bad = (a: Value | Failure): Failure => (isFailure(a) ? a : site.overload(a));
  const fn: Fn = stop
    ? (s, f) => {
        const a = l(s, f);
        if (a === true) return true;
        const b = r(s, f);
        if (b === true) return true;
        return a !== false ? bad(a) : b === false ? false : bad(b);
      }
    : (s, f) => {
        const a = l(s, f);
        if (a === false) return false;
        const b = r(s, f);
        if (b === false) return false;
        return a !== true ? bad(a) : b === true ? true : bad(b);
      };
  return nodeOver([left, right], fn);
}

/** `!a`. */
export function not(part: Node, site: Site): Node {
  const { fn } = part;
  return nodeOver([part], (s, f) => {
    const a = fn(s, f);
    return typeof a === "boolean" ? !a : isFailure(a) ? a : site.overload(a);
  });
}

/** `a ? b : c`. */
export function conditional(condition: Node, yes: Node, no: Node, site: Site): Node {
  const [c, y, n] = [condition.fn, yes.fn, no.fn];
  return nodeOver([condition, yes, no], (s, f) => {
    const a = c(s, f);
    if (a === true) return y(s, f);
    if (a === false) return n(s, f);
    return isFailure(a) ? a : site.overload(a);
  });
}
