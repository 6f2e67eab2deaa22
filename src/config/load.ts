import type { AnyDefinition } from "../sdk/component.ts";
import type { Problem, RejectedFile, ServiceConfig, Wanted } from "./model.ts";
import { evaluate, type Evaluation, type Evaluator } from "./evaluate.ts";
import { readFiles, type Candidate, type FileCache } from "./candidates.ts";
import { inOrder, issuesIn, summaryOf, withHint } from "./report.ts";
import { serviceConfig } from "./service.ts";
import { mappingAt, mergeTrees, type Mapping, type Tree } from "./tree.ts";
import { unite } from "./union.ts";
import { Validator } from "./validator.ts";
import { wantedOf } from "./wanted.ts";

export interface LoadOptions {
  /** Files and directories, as given by `--config`; later ones win. */
  readonly sources: readonly string[];
  /** `a.b=v`, after all sources. */
  readonly set?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly definitions: readonly AnyDefinition[];
  /** File → the one that is read in its place; undefined: as if it were gone. Looked at with each load. */
  readonly replaced?: ReadonlyMap<string, string | undefined>;
  /** With it, a `${env:X}` or `${file:x}` that has no value is no error: it is told of it, and a placeholder stands in. */
  readonly unset?: (name: string) => void;
}

/** What became of one file. */
export interface LoadedFile {
  readonly file: string;
  /** The `--config` that it belongs to. */
  readonly source: string;
  /** It is one of a directory's; otherwise it was named itself. */
  readonly ofDirectory: boolean;
  /** `frozen`: rejected, its last good version is in use. `rejected`: nothing of it is. */
  readonly status: "taken" | "frozen" | "rejected";
  readonly problems: readonly Problem[];
}

export interface Loaded {
  readonly wanted: Wanted;
  /** Of all files together. */
  readonly problems: readonly Problem[];
  /** What is allowed, and likely a mistake. */
  readonly warnings: readonly Problem[];
  readonly files: readonly LoadedFile[];
  /** Something differs from the load before: what is wanted, or what is wrong. */
  readonly changed: boolean;
}

/** Which version of a file is in use. */
type Choice = "current" | "frozen" | "none";

interface State {
  /** Last version of each file that was taken. */
  readonly lastGood: ReadonlyMap<string, Mapping>;
  readonly evaluation: Evaluation | undefined;
  readonly units: ReadonlyMap<string, string>;
  /** Of what was wanted and wrong: equal means unchanged. */
  readonly summary: string | undefined;
}

interface Assembly extends Evaluation {
  readonly units: ReadonlyMap<string, string>;
}

const STATUS = { current: "taken", frozen: "frozen", none: "rejected" } as const;

const NOTHING: State = { lastGood: new Map(), evaluation: undefined, units: new Map(), summary: undefined };
const NOWHERE = { place: { file: "", line: 1, column: 1 }, path: "" };

// Compiling the schemas takes longer than loading a configuration; they never change.
const evaluators = new WeakMap<readonly AnyDefinition[], Evaluator>();

function evaluatorOf(definitions: readonly AnyDefinition[]): Evaluator {
  const made = evaluators.get(definitions) ?? { definitions, validator: new Validator(), known: new Map() };
  evaluators.set(definitions, made);
  return made;
}

/**
 * Loads the configuration again and again, and remembers the last good version of each file: a rejected file
 * freezes what it defined, and the others are not affected.
 */
export class ConfigLoader {
  readonly #options: LoadOptions;
  readonly #evaluator: Evaluator;
  readonly #cache: FileCache = new Map();
  /** Versions that passed validation and could not be run all the same, by file. */
  readonly #refused = new Map<string, { readonly hash: string; readonly problems: readonly Problem[] }>();
  #before: State = NOTHING;
  #state: State = NOTHING;
  #candidates: readonly Candidate[] = [];
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#evaluator = evaluatorOf(options.definitions);
  }

  /** Reads everything anew. Never rejects for what files hold; what is wrong is in the result. */
  load(): Promise<Loaded> {
    // One after the other: each builds on what the one before found good.
    const turn = this.#turn.then(() => this.#load());
    this.#turn = turn.catch(() => {});
    return turn;
  }

  async #load(): Promise<Loaded> {
    const { sources, set = [], replaced } = this.#options;
    const known = [...this.#state.lastGood.keys()];
    const candidates = (await readFiles(sources, set, this.#options, this.#cache, known, replaced)).map((candidate) => this.#checked(candidate));
    const choices = new Map<string, Choice>(candidates.map((c) => [c.key, c.tree === undefined ? this.#fallback(c) : "current"]));
    const blamed = new Map<string, readonly Problem[]>();
    let assembly = this.#assemble(candidates, choices);
    for (;;) {
      const culprits = this.#culprits(assembly, candidates, choices);
      if (culprits.length === 0) break;
      for (const culprit of culprits) {
        if (!blamed.has(culprit.key)) blamed.set(culprit.key, issuesIn(assembly, culprit.file));
        choices.set(culprit.key, choices.get(culprit.key) === "current" ? this.#fallback(culprit) : "none");
      }
      assembly = this.#assemble(candidates, choices);
    }
    const rejected = candidates.filter((c) => choices.get(c.key) !== "current");
    const problemsOf = new Map(rejected.map((c) => [c.key, this.#explain(c, candidates, choices, blamed.get(c.key) ?? [])]));
    return this.#finish(candidates, choices, problemsOf, assembly);
  }

  /**
   * Says that what the last `load` gave could not be run (a component's `create` or `start` failed). The blamed files, in this
   * version, count as rejected until they change or are forgiven; the next `load` gives what to run instead.
   * False: no file can be blamed, so the next `load` gives the same again, as a change.
   */
  refuse(problems: readonly Problem[]): boolean {
    let found = false;
    for (const candidate of this.#candidates) {
      const own = problems.filter((problem) => problem.place.file === candidate.file);
      if (own.length === 0 || candidate.hash === undefined || candidate.tree === undefined) continue;
      this.#refused.set(candidate.key, { hash: candidate.hash, problems: own });
      found = true;
    }
    this.#state = this.#before;
    return found;
  }

  /** Forgets what was refused: someone asks for another try, since the reason may have gone (a port is free again). */
  forgive(): void {
    this.#refused.clear();
  }

  #checked(candidate: Candidate): Candidate {
    const refused = this.#refused.get(candidate.key);
    if (refused === undefined) return candidate;
    if (refused.hash === candidate.hash && candidate.tree !== undefined) {
      return { ...candidate, tree: undefined, problems: refused.problems };
    }
    this.#refused.delete(candidate.key);
    return candidate;
  }

  #fallback(candidate: Candidate): Choice {
    return this.#state.lastGood.has(candidate.key) ? "frozen" : "none";
  }

  #assemble(candidates: readonly Candidate[], choices: ReadonlyMap<string, Choice>): Assembly {
    let tree: Tree = mappingAt([], NOWHERE);
    const units = new Map<string, string>();
    const problems: Problem[] = [];
    const frozen = new Set(candidates.filter((c) => choices.get(c.key) === "frozen").map((c) => c.file));
    for (const layer of new Set(candidates.map((c) => c.layer))) {
      const shares = candidates.filter((c) => c.layer === layer).flatMap((c) => {
        const choice = choices.get(c.key);
        const share = choice === "current" ? c.tree : choice === "frozen" ? this.#state.lastGood.get(c.key) : undefined;
        return share === undefined ? [] : [{ tree: share, frozen: choice === "frozen" }];
      });
      const prefix = `${layer}\n`;
      const ofLayer = [...this.#state.units].filter(([name]) => name.startsWith(prefix));
      const running = new Map(ofLayer.map(([name, text]) => [name.slice(prefix.length), text]));
      const united = unite(shares, running);
      for (const [name, text] of united.units) units.set(prefix + name, text);
      problems.push(...united.problems);
      tree = mergeTrees(tree, united.tree);
    }
    const running = this.#state.evaluation ?? { components: new Map(), pipelines: new Map() };
    const evaluation = evaluate(this.#evaluator, tree as Mapping, running, frozen);
    return { ...evaluation, issues: [...problems, ...evaluation.issues], units };
  }

  /**
   * Files to take back, one stage at a time: first those that are wrong by themselves; then those that miss what nobody
   * has; last those that miss what is running, since another file's return to its last good version may bring it back.
   */
  #culprits(assembly: Assembly, candidates: readonly Candidate[], choices: ReadonlyMap<string, Choice>): Candidate[] {
    const { issues } = assembly;
    const running = this.#state.evaluation?.components;
    const own = issues.filter((issue) => issue.missing === undefined);
    const gone = issues.filter((issue) => issue.missing !== undefined && running?.has(issue.missing) !== true);
    const stage = own.length > 0 ? own : gone.length > 0 ? gone : issues;
    const files = new Set(stage.map((issue) => issue.place.file));
    return candidates.filter((c) => files.has(c.file) && choices.get(c.key) !== "none");
  }

  /** Everything wrong with a file, judged against what is in use beside it. */
  #explain(
    candidate: Candidate, candidates: readonly Candidate[], choices: ReadonlyMap<string, Choice>, blamed: readonly Problem[],
  ): readonly Problem[] {
    if (candidate.tree === undefined) return candidate.problems;
    const found = issuesIn(this.#assemble(candidates, new Map(choices).set(candidate.key, "current")), candidate.file);
    const rejected = candidates.filter((c) => c.key !== candidate.key && choices.get(c.key) !== "current");
    return (found.length > 0 ? found : blamed).map((issue) => withHint(issue, rejected));
  }

  #finish(
    candidates: readonly Candidate[],
    choices: ReadonlyMap<string, Choice>,
    problemsOf: ReadonlyMap<string, readonly Problem[]>,
    assembly: Assembly,
  ): Loaded {
    const files = candidates.map(({ key, file, source, ofDirectory }): LoadedFile => {
      const status = STATUS[choices.get(key)!];
      return { file, source, ofDirectory, status, problems: inOrder(problemsOf.get(key) ?? []) };
    });
    const lastGood = new Map<string, Mapping>();
    for (const candidate of candidates) {
      const good = choices.get(candidate.key) === "current" ? candidate.tree : this.#state.lastGood.get(candidate.key);
      if (good !== undefined) lastGood.set(candidate.key, good);
    }
    const rejected = files
      .filter(({ status }) => status !== "taken")
      .map(({ file, problems, status }): RejectedFile => ({ file, problems, lastGoodRuns: status === "frozen" }));
    const wanted = wantedOf(assembly, assembly.service ?? this.#defaults(), rejected);
    const problems = files.flatMap((f) => f.problems);
    const summary = summaryOf(wanted);
    const changed = summary !== this.#state.summary;
    this.#before = this.#state;
    this.#state = { lastGood, evaluation: assembly, units: assembly.units, summary };
    this.#candidates = candidates;
    return { wanted, problems, warnings: assembly.warnings, files, changed };
  }

  #defaults(): ServiceConfig {
    return serviceConfig(this.#evaluator.validator, mappingAt([], NOWHERE)).service!;
  }
}

/** Loads once. */
export async function loadConfig(options: LoadOptions): Promise<Loaded> {
  return new ConfigLoader(options).load();
}
