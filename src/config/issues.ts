import type { Place, Problem } from "./model.ts";

/** A problem; `missing` when it is only that something referenced is not defined. */
export interface Issue extends Problem {
  readonly missing?: string;
}

/** More of one file are not told: nobody reads on, and finding out what was meant takes time for each. */
export const ISSUES_PER_FILE_MAX = 100;

/** Collects what is wrong, a bounded number for each file. */
export class Issues {
  readonly list: Issue[] = [];
  readonly #counts = new Map<string, number>();

  /** The message is made only if it is told. */
  add(at: { readonly place: Place; readonly path: string }, message: string | (() => string), missing?: string): void {
    const { place, path } = at;
    const count = (this.#counts.get(place.file) ?? 0) + 1;
    this.#counts.set(place.file, count);
    if (count > ISSUES_PER_FILE_MAX + 1) return;
    const text = count > ISSUES_PER_FILE_MAX ? "and more is wrong from here on" : typeof message === "string" ? message : message();
    this.list.push(missing === undefined ? { place, path, message: text } : { place, path, message: text, missing });
  }

  addAll(problems: Iterable<Problem>): void {
    for (const problem of problems) this.add(problem, problem.message);
  }
}
