import type { ScopeName } from "./expression.ts";
import { ExpressionError } from "./expression_compile.ts";
import type { Template } from "./template.ts";

/** Parses text with `{{ CEL }}` in it. Throws `ExpressionError` with the offset in the whole text. */
export function compileTemplate(text: string, scope: readonly ScopeName[]): Template {
  throw new ExpressionError(`not compiled yet: ${text} in ${scope.join()}`, 0);
}
