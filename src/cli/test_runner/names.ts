import type { Wanted } from "../../config/model.ts";
import { ambiguous, receiversNamed } from "../../config/receiver_names.ts";
import { typeOf } from "../../config/uses.ts";
import { closest, oneOf } from "../../sdk/suggest.ts";

type Wiring = Pick<Wanted, "pipelines">;

/**
 * The id of a receiver as a test may name it: its id, its type where there is one of that type, or the name of its monitor
 * or pipeline where that has only one. Throws, with what is known, when it means none or several; `key` is where it is written.
 */
export function receiverNamed(name: string, { pipelines }: Wiring, key = "to"): string {
  return named("receiver", name, key, pipelines);
}

/** The same for an exporter. */
export function exporterNamed(name: string, { pipelines }: Wiring, key = "to"): string {
  return named("exporter", name, key, pipelines.map(({ name: pipeline, exporters }) => ({ name: pipeline, receivers: exporters })));
}

function named(kind: string, name: string, key: string, pipelines: readonly { readonly name: string; readonly receivers: readonly string[] }[]): string {
  const meant = receiversNamed(name, pipelines);
  if (meant.length === 1) return meant[0]!;
  const where = key === "" ? "" : `${key}: `;
  if (meant.length > 1) throw new Error(where + ambiguous(name, meant));
  const ids = [...new Set(pipelines.flatMap(({ receivers }) => receivers))].toSorted();
  if (ids.length === 0) throw new Error(`${where}there is no ${kind} in any pipeline`);
  const near = closest(name, [...ids, ...ids.map(typeOf), ...pipelines.map((pipeline) => pipeline.name)]);
  const help = near === undefined ? `allowed: ${oneOf(ids)}` : `did you mean ${near}? (allowed: ${oneOf(ids)})`;
  throw new Error(`${where}there is no ${kind} ${name} in a pipeline; ${help}`);
}
