import type { Expression, ScopeName } from "./expression.ts";

/** Text that is no expression: `offset` is where, in UTF-16 units from its start. */
export class ExpressionError extends Error {
  override name = "ExpressionError";
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** Parses, checks (names, functions, arity) and compiles. Throws `ExpressionError`. */
export function compileExpression(text: string, scope: readonly ScopeName[]): Expression {
  throw new ExpressionError(`not compiled yet: ${text} in ${scope.join()}`, 0);
}
