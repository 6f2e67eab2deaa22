import type { Wanted } from "../../config/model.ts";
import { resourceText } from "../../sdk/alert_text.ts";
import type { AnyDefinition } from "../../sdk/component.ts";
import { durationMs } from "../../sdk/duration.ts";
import type { Json } from "../../sdk/observation.ts";
import { oneOf } from "../../sdk/suggest.ts";
import { alertDifferences, seenAlert, type ExpectedAlert } from "./alert_changes.ts";
import { answersOf, type Mock } from "./answers.ts";
import type { Bench } from "./bench.ts";
import type { Edits, Reload } from "./edits.ts";
import { metricDifferences, resourceDifferences, type ExpectedMetric, type ExpectedResource } from "./memory.ts";
import { exporterNamed, receiverNamed } from "./names.ts";
import { notificationDifferences, type ExpectedNotification } from "./notifications.ts";
import type { Refusing } from "./outside.ts";
import { instant, sentObservation, withheldHeader, type Send } from "./sent.ts";
import { spanDifferences, type ExpectedSpan } from "./spans.ts";
import { subsetDifferences } from "./subset.ts";

/** `fail` of a step, validated. */
export interface Fail extends Refusing {
  readonly receiver?: string;
  readonly reason?: string;
  readonly exporter?: string;
}

/** `silence` of a step, validated. */
export interface Silencing {
  readonly matchers: readonly string[];
  readonly for: string;
}

export interface Expect {
  readonly alerts?: readonly ExpectedAlert[];
  readonly notifications?: readonly ExpectedNotification[];
  readonly spans?: readonly ExpectedSpan[];
  readonly resources?: readonly ExpectedResource[];
  readonly metrics?: readonly ExpectedMetric[];
}

/** A step as validated: one of these. */
export interface Step {
  readonly send?: Send;
  readonly mock?: Mock;
  readonly fail?: Fail;
  readonly heal?: Pick<Fail, "receiver" | "exporter">;
  readonly advance?: string;
  readonly at?: string;
  readonly restart?: { readonly down?: string };
  readonly reload?: Reload;
  readonly silence?: Silencing;
  readonly acknowledge?: ExpectedAlert;
  readonly expect?: Expect;
}

/** Where a step is taken. */
export interface Stage {
  readonly bench: Bench;
  /** File with the test. */
  readonly file: string;
  /** The configuration without edits. */
  readonly wanted: Wanted;
  readonly definitions: readonly AnyDefinition[];
  readonly edits: Edits;
}

/** Who silences and acknowledges. */
const WHO = "sojourn test";

/** The steps did not do what they say; the message may have several lines. */
export class StepError extends Error {}

/** A step that says only what surrounds the agent: it may come before the agent starts. */
export function isSetup(step: Step, index: number): boolean {
  return step.mock !== undefined || step.fail !== undefined || (step.at !== undefined && index === 0);
}

/** Does what a step says. Rejects where that is not possible, or not as it is expected. */
export async function take(step: Step, stage: Stage): Promise<void> {
  const { bench } = stage;
  if (step.send !== undefined) return await send(step.send, stage);
  if (step.mock !== undefined) return await mock(step.mock, stage);
  if (step.fail !== undefined) return await bench.does(async () => fail(step.fail!, stage));
  if (step.heal !== undefined) return await bench.does(async () => heal(step.heal!, stage));
  if (step.advance !== undefined) return await bench.advanceTo(bench.now() + durationMs(step.advance));
  if (step.restart !== undefined) return await bench.restart(durationMs(step.restart.down ?? "0s"), await stage.edits.fresh(stage.wanted));
  if (step.reload !== undefined) return await reload(step.reload, stage);
  if (step.silence !== undefined) return await silence(step.silence, stage);
  if (step.acknowledge !== undefined) return await acknowledge(step.acknowledge, stage);
  if (step.expect !== undefined) return await check(step.expect, stage);
  const atMs = instant(step.at!, "at");
  if (atMs < bench.now()) throw new StepError(`at: ${step.at} is in the past: time only goes forward`);
  await bench.advanceTo(atMs);
}

/** What is wired now. */
const wiring = ({ bench, wanted }: Stage): Wanted => bench.agent.wanted ?? wanted;

async function send(given: Send, stage: Stage): Promise<void> {
  const { bench, definitions } = stage;
  const receiver = receiverNamed(given.to, wiring(stage));
  const withheld = withheldHeader(given, receiver, wiring(stage), definitions);
  if (withheld !== undefined) throw new StepError(`headers: ${receiver} does not pass ${withheld} on; name it in its include_headers`);
  await bench.send(receiver, sentObservation(given, receiver, bench.now()));
}

async function mock({ receiver, responses }: Mock, stage: Stage): Promise<void> {
  const { bench } = stage;
  const id = receiverNamed(receiver, wiring(stage), "receiver");
  await bench.does(() => bench.outside.mock(id, answersOf(responses, bench.now())));
}

function fail({ receiver, reason, exporter, ...how }: Fail, stage: Stage): void {
  const { outside } = stage.bench;
  if (receiver !== undefined) outside.failReceiver(receiverNamed(receiver, wiring(stage), "receiver"), reason);
  else outside.failExporter(exporterNamed(exporter!, wiring(stage), "exporter"), how);
}

function heal({ receiver, exporter }: NonNullable<Step["heal"]>, stage: Stage): void {
  const { outside } = stage.bench;
  if (receiver !== undefined) outside.healReceiver(receiverNamed(receiver, wiring(stage), "receiver"));
  else outside.healExporter(exporterNamed(exporter!, wiring(stage), "exporter"));
}

async function reload(given: Reload, { bench, edits, file }: Stage): Promise<void> {
  const { loader, undo } = await edits.edited(file, given);
  const { result, problems } = await bench.reload(loader);
  const refused = result === "rejected" || result === "failure";
  if (refused) undo();
  if (refused === (given.rejected ?? false)) return;
  if (!refused) throw new StepError("reload: was taken; expected it to be rejected");
  throw new StepError([`reload: was rejected; where that is expected, say \`rejected: true\`:`, ...problems.map((problem) => edits.said(problem))].join("\n"));
}

async function silence({ matchers, for: long }: Silencing, { bench }: Stage): Promise<void> {
  const { silences } = bench.agent.services;
  await bench.does(async () => silences.add({ matchers, endsAt: bench.now() + durationMs(long), createdBy: WHO, comment: WHO }));
}

async function acknowledge(which: ExpectedAlert, { bench }: Stage): Promise<void> {
  const { alerts } = bench.agent.services;
  const firing = alerts.list().filter(({ status }) => status === "firing");
  const meant = firing.filter((alert) => [...subsetDifferences(which as Json, seenAlert(alert, which))].length === 0);
  if (meant.length !== 1) {
    const names = (meant.length > 0 ? meant : firing).map((alert) => `${alert.alert} of ${resourceText(alert)}`);
    throw new StepError(`acknowledge: ${meant.length === 0 ? "no alert that fires is like this" : "several alerts are like this"}; there is ${names.length === 0 ? "none" : oneOf(names)}`);
  }
  await bench.does(async () => alerts.acknowledge(meant[0]!.dedup_key, { by: WHO, comment: WHO, at: bench.now() }));
}

async function check({ alerts, notifications, spans, resources = [], metrics = [] }: Expect, stage: Stage): Promise<void> {
  const { bench } = stage;
  // Spans leave with a commit, and that may take its time when nobody waits.
  if (spans !== undefined) await bench.does(() => bench.agent.services.committer.committed(true));
  // An expect without `alerts` leaves the changes to the next one that has it; so with the others that tell what happened.
  const lines = [
    ...(alerts === undefined ? [] : alertDifferences(alerts, bench.takeChanges())),
    ...(notifications === undefined ? [] : notificationDifferences(notifications.map((one) => addressed(one, stage)), bench.outside.takeSent())),
    ...(spans === undefined ? [] : spanDifferences(spans.map((one) => addressed(one, stage)), bench.outside.takeSpans())),
    ...resourceDifferences(resources, bench.agent.services.resources),
    ...metricDifferences(metrics, bench.metrics),
  ];
  if (lines.length > 0) throw new StepError(lines.join("\n"));
}

/** `to` as an id. An exporter that is gone by now may have been sent something before. */
function addressed<T extends { readonly to?: string }>(expected: T, { bench, wanted }: Stage): T {
  if (expected.to === undefined) return expected;
  const pipelines = [...(bench.agent.wanted?.pipelines ?? []), ...wanted.pipelines];
  return { ...expected, to: exporterNamed(expected.to, { pipelines }) };
}
