import type { ComponentConfig, PipelineConfig, Problem } from "../config/model.ts";

/** The configuration cannot be run: all that is wrong with it. */
export class PlanError extends Error {
  override name = "PlanError";
  readonly problems: readonly Problem[];
  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(problemText).join("\n"), options);
    this.problems = problems;
  }
}

/** A problem at a pointer within a component or pipeline. */
export function problemAt(config: ComponentConfig | PipelineConfig, pointer: string, message: string): Problem {
  return { ...config.locate(pointer), message };
}

/** `file:line:column path: what is wrong; what is allowed`. */
export function problemText({ place, path, message }: Problem): string {
  return `${place.file}:${place.line}:${place.column}${path === "" ? "" : ` ${path}`}: ${message}`;
}
