import { PermanentError } from "../sdk/errors.ts";
import { StoreError, type Cell, type Table } from "../sdk/store.ts";

/** Rows of one table, by its name: a declaration is not sent again with every commit. */
export interface TableRows {
  readonly table: string;
  readonly puts: readonly Cell[];
  readonly deletes: readonly Cell[];
}

/**
 * What the store asks its thread. Asked and answered strictly in order, so an answer carries no number.
 * A commit may come in several parts, to keep each message short; only the `last` is answered.
 */
export type Request =
  | { readonly kind: "open"; readonly directory: string; readonly tables: readonly Table[]; readonly pagesMax: number | undefined }
  | { readonly kind: "commit"; readonly epoch: number; readonly parts: readonly TableRows[]; readonly last: boolean; readonly abandoned?: string }
  | { readonly kind: "load"; readonly table: string; readonly after: readonly Cell[] }
  | { readonly kind: "read"; readonly table: string; readonly prefix: readonly Cell[]; readonly rowsMax: number }
  | { readonly kind: "close" };

/** `failed` is worth repeating; `permanent` is not; the rest are kinds of `StoreError`. */
export interface Failure {
  readonly kind: StoreError["kind"] | "failed" | "permanent";
  readonly message: string;
}

/** Rows, flat; `more` when others follow them. */
export interface Rows {
  readonly cells: readonly Cell[];
  readonly more: boolean;
}

export type Answer = { readonly ok: true; readonly rows?: Rows } | { readonly ok: false; readonly failure: Failure };

/** The error to throw for what the thread answered. */
export function errorOf({ kind, message }: Failure): Error {
  if (kind === "failed") return new Error(message);
  return kind === "permanent" ? new PermanentError(message) : new StoreError(kind, message);
}
