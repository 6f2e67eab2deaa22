import type { Problem, TestCase, Wanted } from "../../config/model.ts";
import { PlanError, problemText } from "../../pipeline/problems.ts";
import type { AnyDefinition } from "../../sdk/component.ts";
import { durationMs } from "../../sdk/duration.ts";
import { messageOf } from "../../sdk/errors.ts";
import { formatTime } from "../../sdk/time.ts";
import { alertDifferences, type ExpectedAlert } from "./alert_changes.ts";
import { startBench, LAST_MS, type Bench } from "./bench.ts";
import { metricDifferences, resourceDifferences, type ExpectedMetric, type ExpectedResource } from "./memory.ts";
import { instant, receiverNamed, sentObservation, templateErrors, withheldHeader, type Send } from "./sent.ts";

/** When a test begins that does not say so. */
const START_MS = Date.UTC(2026, 0, 1);

/** A step as validated: one of these. */
interface Step {
  readonly send?: Send;
  readonly advance?: string;
  readonly at?: string;
  readonly restart?: { readonly down?: string };
  readonly expect?: {
    readonly alerts?: readonly ExpectedAlert[];
    readonly resources?: readonly ExpectedResource[];
    readonly metrics?: readonly ExpectedMetric[];
  };
}

/** Why a test failed: a headline with its place, what differs, and what components complained of meanwhile. */
export interface Failure {
  readonly problem: Problem;
  readonly lines: readonly string[];
  readonly notes: readonly string[];
}

/** The steps did not do what they say; the message may have several lines. */
class StepError extends Error {}

/** Runs one test, on time and in a store of its own. Undefined: all was as expected. Never rejects. */
export async function runTest(test: TestCase, wanted: Wanted, definitions: readonly AnyDefinition[]): Promise<Failure | undefined> {
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
    bench = await startBench(wanted, definitions, first === undefined ? START_MS : Math.min(instant(first, "at"), LAST_MS));
    for (; at < steps.length; at++) await take(steps[at]!, bench, wanted, definitions);
    return undefined;
  } catch (error) {
    const when = bench === undefined ? "" : `at ${formatTime(bench.now())}: `;
    return failed(`/steps/${at}`, when + said(error), bench?.notes);
  } finally {
    await bench?.end();
  }
}

function said(error: unknown): string {
  if (error instanceof StepError) return error.message;
  if (error instanceof PlanError) return `the agent cannot start\n${error.problems.map(problemText).join("\n")}`;
  return messageOf(error);
}

async function take(step: Step, bench: Bench, wanted: Wanted, definitions: readonly AnyDefinition[]): Promise<void> {
  if (step.send !== undefined) {
    const receiver = receiverNamed(step.send.to, wanted);
    const withheld = withheldHeader(step.send, receiver, wanted, definitions);
    if (withheld !== undefined) throw new StepError(`headers: ${receiver} does not pass ${withheld} on; name it in its include_headers`);
    await bench.send(receiver, sentObservation(step.send, receiver, bench.now()));
  } else if (step.advance !== undefined) {
    await bench.advanceTo(bench.now() + durationMs(step.advance));
  } else if (step.at !== undefined) {
    const atMs = instant(step.at, "at");
    if (atMs < bench.now()) throw new StepError(`at: ${step.at} is in the past: time only goes forward`);
    await bench.advanceTo(atMs);
  } else if (step.restart !== undefined) {
    await bench.restart(durationMs(step.restart.down ?? "0s"));
  } else if (step.expect !== undefined) {
    check(step.expect, bench);
  }
}

function check({ alerts, resources = [], metrics = [] }: NonNullable<Step["expect"]>, bench: Bench): void {
  // An expect without `alerts` leaves the changes to the next one that has it.
  const lines = [
    ...(alerts === undefined ? [] : alertDifferences(alerts, bench.takeChanges())),
    ...resourceDifferences(resources, bench.agent.services.resources),
    ...metricDifferences(metrics, bench.metrics),
  ];
  if (lines.length > 0) throw new StepError(lines.join("\n"));
}

/** What is wrong with the tests themselves beyond their schema. */
export function testProblems(tests: readonly TestCase[]): Problem[] {
  return tests.flatMap((test) => test.steps.flatMap((step, i) => {
    const { body } = (step["send"] ?? { body: null }) as unknown as Send;
    return [...templateErrors(body)].map(({ pointer, message }) => ({ ...test.locate(`/steps/${i}/send/body${pointer}`), message }));
  }));
}
