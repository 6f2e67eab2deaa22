import { readFile } from "node:fs/promises";
import { testCommand } from "../../src/cli/test.ts";
import { components } from "../../src/components.ts";
import type { AnyDefinition } from "../../src/sdk/component.ts";
import { virtualClock } from "../../src/sdk/virtual_clock.ts";
import { workspace } from "../config/support.ts";

export interface Ran {
  readonly code: number;
  /** Lines of standard output; files without their directory. */
  readonly out: readonly string[];
  readonly err: readonly string[];
  /** The JUnit report. */
  readonly report?: string;
}

export interface Given {
  readonly filter?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly definitions?: readonly AnyDefinition[];
  /** Writes the report, and gives it. */
  readonly junit?: boolean;
}

/** Runs `sojourn test` on files. What it measures is 0 ms, so that output can be compared. */
export async function ran(files: string | Readonly<Record<string, string>>, { env = {}, junit = false, ...given }: Given = {}): Promise<Ran> {
  await using place = await workspace(typeof files === "string" ? { "agent.yaml": files } : files);
  const out: string[] = [];
  const err: string[] = [];
  const into = (lines: string[]) => (text: string) => void lines.push(text.replaceAll(`${place.directory}/`, ""));
  const code = await testCommand({
    sources: [place.directory], env, definitions: components, clock: virtualClock(), output: { out: into(out), error: into(err) },
    ...(junit ? { junit: place.path("report.xml") } : {}), ...given,
  });
  return junit ? { code, out, err, report: (await readFile(place.path("report.xml"), "utf8")).replaceAll(`${place.directory}/`, "") } : { code, out, err };
}

/** A monitor of orders and one test of these steps, each a line of YAML. Without further rules the first step is on line 15. */
export function order(steps: readonly string[], rules: readonly string[] = []): string {
  return `monitors:
  order:
    from:
      webhook: { listen: 127.0.0.1:0, path: /orders }
    id: body.id
    state: body.status
    time: body.at
    attributes: { amount: body.amount }
    states: { pending: { since: body.created_at, stuck_after: 30m }, failed: { terminal: true, alert: { severity: critical } } }
    rules:
${[...rules, "{ alert: Large, expr: self.amount > 100, for: 5m, labels: { severity: warning }, annotations: { summary: 'worth {{ self.amount }}' } }"].map((rule) => `      - ${rule}\n`).join("")}tests:
  - name: orders
    steps:
${steps.map((step) => `      - ${step}\n`).join("")}`;
}

export const pending = (id: string): string => `send: { to: order, body: { id: ${id}, status: pending } }`;
export const paid = (id: string): string => `send: { to: order, body: { id: ${id}, status: paid } }`;
export const stuck = (id: string, status = "firing"): string => `{ alert: OrderStuckInPending, resource: ${id}, status: ${status} }`;
export const alerts = (...list: readonly string[]): string => `expect: { alerts: [${list.join(", ")}] }`;
