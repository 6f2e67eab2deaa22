import type { Clock } from "../../src/sdk/clock.ts";
import type { Connected } from "./postgres_connection.ts";
import type { Relation } from "./postgres_pgoutput.ts";
import type { TableFacts } from "./postgres_table.ts";
import { isCreated, type TypeFacts } from "../../src/sdk/postgres_value.ts";

/** A domain over an array of a domain… of so many steps is followed. */
const STEPS_MAX = 8;
/** A transaction is in the log a moment before others see what it did to the catalogue. */
const UNSEEN_LOOKS_MAX = 20;
const UNSEEN_MS = 25;

/** What the catalogue says of those types that somebody created, and of those that they are made of. */
export async function loadTypes({ rows }: Connected, types: readonly number[]): Promise<ReadonlyMap<number, TypeFacts>> {
  const found = new Map<number, TypeFacts>();
  let wanted = [...new Set(types.filter(isCreated))];
  for (let step = 0; wanted.length > 0 && step < STEPS_MAX; step++) {
    const facts = await rows<{ oid: string; element: string; base: string }>(
      `SELECT oid::text, CASE WHEN typcategory = 'A' THEN typelem ELSE 0 END::text AS element, typbasetype::text AS base
       FROM pg_type WHERE oid = ANY ($1::oid[])`, [wanted]);
    for (const { oid, element, base } of facts) found.set(Number(oid), { element: Number(element), base: Number(base) });
    wanted = facts.flatMap(({ element, base }) => [Number(element), Number(base)]).filter((oid) => isCreated(oid) && !found.has(oid));
  }
  return found;
}

/** What the stream does not say of a table. A type that was dropped since is not there any more: its values stay text. */
export async function loadFacts(connection: Connected, relation: Relation, clock: Clock): Promise<TableFacts> {
  const created = relation.columns.map(({ type }) => type).filter(isCreated);
  let types = await loadTypes(connection, created);
  for (let look = 1; look < UNSEEN_LOOKS_MAX && created.some((type) => !types.has(type)); look++) {
    await clock.sleep(UNSEEN_MS);
    types = await loadTypes(connection, created);
  }
  if (relation.identity !== "f") return { types, primaryKey: [] };
  const keys = await connection.rows<{ name: string }>(
    `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
     WHERE i.indrelid = $1::oid AND i.indisprimary`, [relation.id]);
  return { types, primaryKey: keys.map(({ name }) => name) };
}
