import { Failure } from "./expression.ts";
import type { Value } from "./expression.ts";
import { nodeOver } from "./expression_node.ts";
import type { Node } from "./expression_node.ts";
import type { Site } from "./expression_site.ts";
import { compare, equal, isFailure, isJsonMap, isList, keyOf, OVER_BUDGET, STEPS_MAX } from "./expression_value.ts";
import type { Fn, Frame, MadeMap } from "./expression_value.ts";

const ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  "_<_": (order) => order < 0, "_<=_": (order) => order <= 0, "_>_": (order) => order > 0, "_>=_": (order) => order >= 0,
};
const MIRRORED: Readonly<Record<string, string>> = { "_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_" };

/** `a < b` and so on. */
export function ordering(name: string, left: Node, right: Node, site: Site): Node {
  if (left.constant !== undefined && right.constant === undefined) return ordering(MIRRORED[name]!, right, left, site);
  const holds = ORDERS[name]!;
  const [l, r] = [left.fn, right.fn];
  const rest = (a: Value | Failure, b: Value | Failure, f: Frame): boolean | Failure => {
    if (isFailure(a)) return a;
    if (isFailure(b)) return b;
    if (typeof a === "string") f.steps += a.length >> 6;
    const order = compare(a, b);
    return order === undefined ? site.overload(a, b) : holds(order);
  };
  const parts = [left, right];
  const c = right.constant;
  const n = typeof c === "bigint" ? Number(c) : c;
  if (typeof n !== "number") return nodeOver(parts, (s, f) => rest(l(s, f), r(s, f), f));
  // No bigint is touched when the value is a number, as all of JSON's are.
  const closures: Readonly<Record<string, Fn>> = {
    "_<_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a < n : rest(a, c!, f);
    },
    "_<=_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a <= n : rest(a, c!, f);
    },
    "_>_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a > n : rest(a, c!, f);
    },
    "_>=_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a >= n : rest(a, c!, f);
    },
  };
  return nodeOver(parts, closures[name]!);
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
  return (value) => {
    if (typeof value === "number") return numbers.has(value);
    return typeof value === "bigint" && numbers.has(Number(value));
  };
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
