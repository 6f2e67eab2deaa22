import { typeOf } from "./uses.ts";

/**
 * Ids of the receivers that a test may mean by `name`: the one with this id; else those of this type, and those of the monitor
 * or pipeline of this name. Not exactly one: nobody can tell.
 */
export function receiversNamed(name: string, pipelines: Iterable<{ readonly name: string; readonly receivers: readonly string[] }>): readonly string[] {
  const meant = new Set<string>();
  for (const pipeline of pipelines) {
    if (pipeline.receivers.includes(name)) return [name];
    for (const id of pipeline.receivers) if (pipeline.name === name || typeOf(id) === name) meant.add(id);
  }
  return [...meant].toSorted();
}

/** Says that a name means several receivers. */
export function ambiguous(name: string, ids: readonly string[]): string {
  return `${name} may be ${ids.join(" or ")}; give the id`;
}
