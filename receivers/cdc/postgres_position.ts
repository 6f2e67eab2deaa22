import type { Json } from "../../src/sdk/observation.ts";

/*
 * Where the receiver is in PostgreSQL's log. An LSN is 64 bits wide: a bigint here, in the server's notation
 * (`16/B374D848`) in the store, in messages and in bodies.
 */

/** `16/B374D848` as a number. Throws on anything else. */
export function lsnOf(text: string): bigint {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (match === null) throw new Error(`"${text.slice(0, 40)}" is no LSN`);
  return (BigInt(`0x${match[1]!}`) << 32n) | BigInt(`0x${match[2]!}`);
}

/** In the server's notation. */
export function lsnText(lsn: bigint): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** What is committed with the effects. */
export interface PostgresPosition {
  /** Of the cluster: another one's LSNs mean nothing. */
  readonly system: string;
  readonly slot: string;
  /** Every transaction whose commit record begins before this has been taken. */
  readonly lsn: bigint;
  /** The next transaction, when it was too large for one batch: its commit record, and how many of its changes have been taken. */
  readonly transaction: { readonly lsn: bigint; readonly taken: number } | undefined;
  /** Tables, as `schema.table`, whose rows have been read. Others still need their snapshot. */
  readonly tables: readonly string[];
}

export function positionJson({ system, slot, lsn, transaction, tables }: PostgresPosition): Json {
  return {
    system, slot, lsn: lsnText(lsn), tables,
    ...(transaction === undefined ? {} : { transaction: { lsn: lsnText(transaction.lsn), taken: transaction.taken } }),
  };
}

/** What the store has; undefined when it is not PostgreSQL's: then the receiver's URL was of another kind. */
export function positionOf(value: Json | undefined): PostgresPosition | undefined {
  if (value === null || typeof value !== "object" || Array.isArray(value)) return undefined;
  const { system, slot, lsn, tables, transaction } = value as { readonly [key: string]: Json };
  if (typeof system !== "string" || typeof slot !== "string" || typeof lsn !== "string" || !Array.isArray(tables)) return undefined;
  const part = transaction as { readonly lsn: string; readonly taken: number } | undefined;
  return {
    system, slot, lsn: lsnOf(lsn), tables: tables.map(String),
    transaction: part === undefined ? undefined : { lsn: lsnOf(part.lsn), taken: part.taken },
  };
}
