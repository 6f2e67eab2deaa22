import type { Problem, TestCase, Wanted } from "../../config/model.ts";
import { messageOf } from "../../sdk/errors.ts";
import { exporterNamed, receiverNamed } from "./names.ts";
import { templateErrors } from "./sent.ts";
import type { Fail, Step } from "./steps.ts";

/** Something wrong, at a JSON pointer within the step. */
interface Found {
  readonly pointer: string;
  readonly message: string;
}

/** What is wrong with the tests themselves beyond their schema. */
export function testProblems({ tests, ...wanted }: Pick<Wanted, "tests" | "pipelines">): Problem[] {
  return tests.flatMap((test) => {
    const steps = test.steps as readonly Step[];
    // What a reload brings is not known before.
    const reloaded = steps.findIndex((step) => step.reload !== undefined);
    return steps.flatMap((step, i) => {
      const found = [...wrongTemplates(step), ...wrongEnds(step), ...(reloaded === -1 || i < reloaded ? wrongNames(step, wanted) : [])];
      return found.map(({ pointer, message }) => at(test, `/steps/${i}${pointer}`, message));
    });
  });
}

const at = (test: TestCase, pointer: string, message: string): Problem => ({ ...test.locate(pointer), message });

function* wrongTemplates({ send, mock }: Step): Iterable<Found> {
  for (const { pointer, message } of templateErrors(send?.body ?? null)) yield { pointer: `/send/body${pointer}`, message };
  for (const [i, { body }] of (mock?.responses ?? []).entries()) {
    for (const { pointer, message } of templateErrors(body ?? null)) yield { pointer: `/mock/responses/${i}/body${pointer}`, message };
  }
}

function* wrongEnds(step: Step): Iterable<Found> {
  for (const key of ["fail", "heal"] as const) {
    const { [key]: given } = step;
    if (given === undefined) continue;
    const pointer = `/${key}`;
    const names = Object.keys(given) as (keyof Fail)[];
    const ends = names.filter((name) => name === "receiver" || name === "exporter");
    if (ends.length !== 1) yield { pointer, message: ends.length === 0 ? "receiver or exporter is missing" : "receiver and exporter exclude each other; give one" };
    else for (const name of names) if (endOf(name) !== ends[0]) yield { pointer: `${pointer}/${name}`, message: `belongs to ${endOf(name)}, not to ${ends[0]}` };
  }
}

const endOf = (key: keyof Fail): "receiver" | "exporter" => (key === "receiver" || key === "reason" ? "receiver" : "exporter");

function* wrongNames({ mock, fail, heal, expect }: Step, wanted: Pick<Wanted, "pipelines">): Iterable<Found> {
  const receivers: readonly [string, string | undefined][] = [["/mock/receiver", mock?.receiver], ["/fail/receiver", fail?.receiver], ["/heal/receiver", heal?.receiver]];
  const exporters: [string, string | undefined][] = [["/fail/exporter", fail?.exporter], ["/heal/exporter", heal?.exporter]];
  for (const [i, { to }] of (expect?.notifications ?? []).entries()) exporters.push([`/expect/notifications/${i}/to`, to]);
  for (const [i, { to }] of (expect?.spans ?? []).entries()) exporters.push([`/expect/spans/${i}/to`, to]);
  for (const [pointer, name] of receivers) yield* wrongName(pointer, name, () => receiverNamed(name!, wanted, ""));
  for (const [pointer, name] of exporters) yield* wrongName(pointer, name, () => exporterNamed(name!, wanted, ""));
}

function* wrongName(pointer: string, name: string | undefined, find: () => string): Iterable<Found> {
  if (name === undefined) return;
  try {
    find();
  } catch (error) {
    yield { pointer, message: messageOf(error) };
  }
}
