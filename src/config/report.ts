import type { Candidate } from "./candidates.ts";
import { canonical, sha256 } from "./fingerprint.ts";
import type { Issue } from "./issues.ts";
import type { ComponentConfig, Problem, Wanted } from "./model.ts";

/** As they are met when reading the file. */
export function inOrder(problems: readonly Problem[]): readonly Problem[] {
  return problems.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
}

export function issuesIn(assembly: { readonly issues: readonly Issue[] }, file: string): readonly Issue[] {
  return assembly.issues.filter((issue) => issue.place.file === file);
}

/** Tells when what is missing is only missing because its file was rejected as well. */
export function withHint(issue: Issue, rejected: readonly Candidate[]): Problem {
  const { place, path, message, missing } = issue;
  if (missing === undefined) return { place, path, message };
  const [kind = "", id = ""] = missing.split(" ");
  const holder = rejected.find((c) => {
    const section = c.tree?.entries.get(`${kind}s`)?.value;
    return section?.kind === "map" && section.entries.has(id);
  });
  return { place, path, message: holder === undefined ? message : `references ${kind} ${id}, which ${holder.file} defines, and that was rejected` };
}

/** Equal when the same is wanted and the same is wrong. */
export function summaryOf(wanted: Wanted): string {
  const { components, pipelines, service, rejected, tests } = wanted;
  const text = JSON.stringify([
    components.map((c: ComponentConfig) => [c.kind, c.id, c.fingerprint]),
    pipelines.map((p) => [p.name, p.receivers, p.processors, p.exporters]),
    canonical(service as never),
    tests.map((t) => [t.name, t.steps]),
    rejected,
  ]);
  return sha256(text);
}
