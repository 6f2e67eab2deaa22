import { Duration, Failure, Timestamp } from "./expression.ts";
import type { Value } from "./expression.ts";
import { int64, TOO_LONG } from "./expression_function.ts";
import { DURATION_MAX_MS } from "./expression_library.ts";
import { nodeOver } from "./expression_node.ts";
import type { Node } from "./expression_node.ts";
import { finish } from "./expression_site.ts";
import type { Site } from "./expression_site.ts";
import { isFailure, isList, LENGTH_MAX } from "./expression_value.ts";
import type { Fn, Frame } from "./expression_value.ts";

const DIVIDE_BY_ZERO = new Failure("divide by zero");
const MODULUS_BY_ZERO = new Failure("modulus by zero");
const OUT_OF_RANGE = new Failure("out of range");

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
function numeric(
  ofInts: (a: bigint, b: bigint) => bigint | Failure,
  ofDoubles: (a: number, b: number) => number | Failure,
  more?: Slow,
): Slow {
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
  if (typeof n !== "number") return nodeOver([left, right], (s, f) => rest(l(s, f), r(s, f), f));
  // One closure for each operator, so that each meets one kind of operation only.
  const closures: Readonly<Record<string, Fn>> = {
    "_+_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a + n : rest(a, c!, f);
    },
    "_-_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a - n : rest(a, c!, f);
    },
    "_*_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a * n : rest(a, c!, f);
    },
    "_/_": (s, f) => {
      const a = l(s, f);
      return typeof a === "number" ? a / n : rest(a, c!, f);
    },
  };
  return nodeOver([left, right], closures[name] ?? ((s, f) => rest(l(s, f), c!, f)));
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
