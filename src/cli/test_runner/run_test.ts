import type { LoadOptions } from "../../config/load.ts";
import type { Problem, TestCase, Wanted } from "../../config/model.ts";
import { PlanError, problemText } from "../../pipeline/problems.ts";
import { messageOf } from "../../sdk/errors.ts";
import { formatTime } from "../../sdk/time.ts";
import { createBench, LAST_MS, type Bench } from "./bench.ts";
import { Edits } from "./edits.ts";
import { receiverNamed } from "./names.ts";
import { Outside } from "./outside.ts";
import { instant } from "./sent.ts";
import { isSetup, StepError, take, type Expect, type Stage, type Step } from "./steps.ts";

/** When a test begins that does not say so. */
const START_MS = Date.UTC(2026, 0, 1);

/** Why a test failed: a headline with its place, what differs, and what components complained of meanwhile. */
export interface Failure {
  readonly problem: Problem;
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

/** Runs one test, on time and in a store of its own. Undefined: all was as expected. Never rejects. */
export async function runTest(test: TestCase, wanted: Wanted, options: LoadOptions): Promise<Failure | undefined> {
  const steps = test.steps as readonly Step[];
  const failed = (pointer: string, message: string, notes: readonly string[] = []): Failure => {
    const [first = "", ...lines] = message.split("\n");
    return { problem: { ...test.locate(pointer), message: first }, lines, notes };
  };
  if (!steps.some((step) => step.expect !== undefined)) return failed("", "checks nothing: it has no expect");
  let bench: Bench | undefined;
  let at = 0;
  try {
    const first = steps[0]!.at;
    const asksFor = (key: keyof Expect): boolean => steps.some((step) => step.expect?.[key] !== undefined);
    const outside = new Outside({ notifications: asksFor("notifications"), spans: asksFor("spans") });
    bench = createBench({ wanted, definitions: options.definitions, startMs: first === undefined ? START_MS : Math.min(instant(first, "at"), LAST_MS), outside });
    const stage: Stage = { bench, file: test.file, wanted, definitions: options.definitions, edits: new Edits(options) };
    // What surrounds the agent is there before it starts: it catches up with what it then finds.
    const setup = steps.findIndex((step, i) => !isSetup(step, i));
    for (; at < steps.length; at++) {
      if (at === setup) await start(stage, steps, (index) => (at = index));
      await take(steps[at]!, stage);
    }
    return undefined;
  } catch (error) {
    const when = bench === undefined ? "" : `at ${formatTime(bench.now())}: `;
    return failed(`/steps/${at}`, when + said(error), bench?.notes);
  } finally {
    await bench?.end();
  }
}

/** The step to blame is the mock that cannot be. */
async function start({ bench, wanted }: Stage, steps: readonly Step[], blame: (index: number) => void): Promise<void> {
  try {
    await bench.start();
  } catch (error) {
    const { asksNobody } = bench.outside;
    const index = steps.findIndex(({ mock }) => mock !== undefined && receiverNamed(mock.receiver, wanted) === asksNobody);
    if (index === -1) throw error;
    blame(index);
    throw new StepError(messageOf(error instanceof PlanError ? error.cause : error));
  }
}

function said(error: unknown): string {
  if (error instanceof StepError) return error.message;
  if (error instanceof PlanError) return `the agent cannot start\n${error.problems.map(problemText).join("\n")}`;
  return messageOf(error);
}
