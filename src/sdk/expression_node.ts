import type { Expr } from "@bufbuild/cel-spec/cel/expr/syntax_pb.js";
import { ExpressionError } from "./expression.ts";
import type { Failure, Scope, ScopeName, Value } from "./expression.ts";
import { isFailure } from "./expression_value.ts";
import type { Fn, Frame } from "./expression_value.ts";

/** A compiled node of the tree. */
export interface Node {
  readonly fn: Fn;
  /** Its value when that is known already. */
  readonly constant: Value | undefined;
  /** Nodes below and including it: what one turn of a macro around it takes. */
  readonly cost: number;
}

/** Like `Fn`, but undefined where a field is missing: what `has()` asks. */
export type MaybeFn = (scope: Scope, frame: Frame) => Value | Failure | undefined;

/** What is being compiled. */
export interface Compilation {
  readonly names: ReadonlySet<ScopeName>;
  readonly offsetOf: (expr: Expr) => number;
  /** Variables of the macros around, with their place in the frame. */
  readonly locals: ReadonlyMap<string, number>;
  readonly found: Found;
  /** `inside`: with the variables of a macro. */
  compile(expr: Expr, inside?: Compilation): Node;
}

/** What was met so far. */
export interface Found {
  /** By their JSON, as `a.b` may be one key or two. */
  readonly bodyPaths: Map<string, readonly string[]>;
  readonly self: Set<string>;
  readonly scope: Set<ScopeName>;
  now: boolean;
  slots: number;
}

/** A node whose value is known. */
export function constantNode(value: Value): Node {
  return { fn: () => value, constant: value, cost: 1 };
}

/** A node above others, evaluated now if they are all constant; what fails is left to fail at run time. */
export function nodeOver(parts: readonly Node[], fn: Fn): Node {
  const cost = parts.reduce((sum, part) => sum + part.cost, 1);
  if (parts.every((part) => part.constant !== undefined)) {
    const value = fn({}, { now: 0, steps: 0, vars: [] });
    if (!isFailure(value)) return constantNode(value);
  }
  return { fn, constant: undefined, cost };
}

/** An error at a node. */
export function errorAt(compilation: Compilation, expr: Expr, message: string): ExpressionError {
  return new ExpressionError(message, compilation.offsetOf(expr));
}
