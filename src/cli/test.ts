import { writeFile } from "node:fs/promises";
import { loadConfig } from "../config/load.ts";
import { problemText } from "../pipeline/problems.ts";
import { printable } from "../sdk/alert_text.ts";
import { realClock, type Clock } from "../sdk/clock.ts";
import type { AnyDefinition } from "../sdk/component.ts";
import { messageOf } from "../sdk/errors.ts";
import { oneOf } from "../sdk/suggest.ts";
import { checkPlan } from "./check_plan.ts";
import { EXIT, type Output } from "./exit.ts";
import { junitXml, type Result } from "./test_runner/junit.ts";
import { testProblems } from "./test_runner/problems.ts";
import { runTest, type Failure } from "./test_runner/run_test.ts";

const NOTES_SHOWN_MAX = 10;

export interface TestOptions {
  readonly sources: readonly string[];
  readonly set?: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly definitions: readonly AnyDefinition[];
  /** Only tests whose name contains it. */
  readonly filter?: string | undefined;
  /** File for a report as JUnit XML. */
  readonly junit?: string | undefined;
  readonly output: Output;
  /** Measures how long tests take. */
  readonly clock?: Clock;
}

/**
 * `sojourn test`: runs the `tests:` of a configuration, each on virtual time, on an agent and in a store of its own; no network,
 * no files. Resolves with the exit code: 0 all as expected, 1 something was not (or there was nothing to run), 78 the
 * configuration is wrong.
 */
export async function testCommand({ filter, junit, output, clock = realClock, ...given }: TestOptions): Promise<number> {
  const report = (results: readonly Result[]): Promise<boolean> => written(junit, results, output);
  const unset = new Set<string>();
  const options = { ...given, unset: (name: string) => void unset.add(name) };
  const { wanted, problems } = await loadConfig(options);
  if (unset.size > 0) output.error(`note: placeholders stand in for what is not set: ${oneOf([...unset].toSorted())}`);
  // What a rejected file defines is missing from the rest: what the graph lacks then is no news.
  const wrong = problems.length > 0 ? problems : [...checkPlan(wanted, options.definitions), ...testProblems(wanted)];
  if (wrong.length > 0) {
    for (const problem of wrong) output.error(problemText(problem));
    output.error(`${wrong.length} ${wrong.length === 1 ? "problem" : "problems"}: no test was run`);
    await report(wrong.map((problem) => ({ name: "the configuration is valid", place: problem.place, tookMs: 0, failure: { message: printable(problemText(problem)), lines: [] } })));
    return EXIT.config;
  }
  const tests = wanted.tests.filter(({ name }) => filter === undefined || name.includes(filter));
  if (tests.length === 0) {
    output.error(wanted.tests.length === 0 ? "there are no tests: the configuration has none under `tests:`" : `no test has "${filter}" in its name; there are ${wanted.tests.length}`);
    await report([]);
    return EXIT.failed;
  }
  const results: Result[] = [];
  for (const test of tests) {
    const begin = clock.monotonicMs();
    const failure = await runTest(test, wanted, options);
    const tookMs = clock.monotonicMs() - begin;
    const [message = "", ...lines] = failure === undefined ? [] : failureLines(failure);
    results.push({ name: test.name, place: test.locate("").place, tookMs, failure: failure === undefined ? undefined : { message, lines } });
    output.out(`${failure === undefined ? "ok    " : "not ok"}  ${printable(test.name)} (${Math.round(tookMs)} ms)`);
    if (failure !== undefined) for (const line of [message, ...lines]) output.out(`        ${line}`);
  }
  const failures = results.filter(({ failure }) => failure !== undefined).length;
  output.out(`${tests.length} ${tests.length === 1 ? "test" : "tests"}: ${failures === 0 ? "all ok" : `${tests.length - failures} ok, ${failures} not ok`}`);
  return (await report(results)) && failures === 0 ? EXIT.ok : EXIT.failed;
}

/** False when it cannot be written: a CI system that finds no report, or an old one, would call it fine. */
async function written(file: string | undefined, results: readonly Result[], output: Output): Promise<boolean> {
  if (file === undefined) return true;
  try {
    await writeFile(file, junitXml(results));
    return true;
  } catch (error) {
    output.error(`the report ${file} cannot be written: ${messageOf(error)}`);
    return false;
  }
}

function failureLines({ problem, lines, notes }: Failure): string[] {
  const hidden = notes.length - NOTES_SHOWN_MAX;
  return [
    printable(problemText(problem)),
    ...lines.map((line) => `  ${printable(line)}`),
    ...(notes.length === 0 ? [] : ["meanwhile:"]),
    ...notes.slice(0, NOTES_SHOWN_MAX).map((note) => `  ${note}`),
    ...(hidden > 0 ? [`  … and ${hidden} more`] : []),
  ];
}
