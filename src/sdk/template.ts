import type { Reads, Scope } from "./expression.ts";

/** Text with `{{ CEL }}` in it, compiled. */
export interface Template {
  readonly text: string;
  /** Of all its expressions together. */
  readonly reads: Reads;
  /** Never throws: an expression that fails renders as `<error: …>`, as in Prometheus, and `onError` is told. */
  render(scope: Scope, now: number, onError?: (message: string) => void): string;
}
