import { PermanentError } from "../sdk/errors.ts";
import { StoreError, type Cell, type Table } from "../sdk/store.ts";

/** Rows of one table, by its name: a declaration is not sent again with every commit. */
export interface TableRows {
  readonly table: string;
  readonly puts: readonly Cell[];
  readonly deletes: readonly Cell[];
}

export interface OpenRequest {
  readonly kind: "open";
  readonly directory: string;
  readonly tables: readonly Table[];
  readonly pagesMax: number | undefined;
}

export interface CommitRequest {
  readonly kind: "commit";
  /** How many failures the caller knew of. */
  readonly epoch: number;
  readonly parts: readonly TableRows[];
  readonly last: boolean;
  /** Why the rest will not come: the commit is to be rolled back. */
  readonly abandoned?: string;
}

/**
 * What the store asks its thread. Asked and answered strictly in order, so an answer carries no number.
 * A commit may come in several parts, to keep each message short; only the `last` is answered.
 */
export type Request =
  | OpenRequest
  | CommitRequest
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
