import type { Json } from "../../sdk/observation.ts";
import type { LifecycleSpan } from "../../sdk/span.ts";
import { formatTime, timeMs } from "../../sdk/time.ts";
import { defined } from "./alert_changes.ts";
import { listDifferences, type Happened, type Kind } from "./list_differences.ts";

/** A span that an exporter took. */
export interface SentSpan extends Happened {
  /** Id of the exporter. */
  readonly to: string;
  readonly span: LifecycleSpan;
}

/** One of `expect.spans`, validated, `to` as an id. What is not given is not compared. */
export interface ExpectedSpan {
  readonly to?: string;
  readonly name?: string;
  readonly resource?: string | { readonly type?: string; readonly id?: string };
  readonly incarnation?: number;
  readonly start?: string;
  readonly duration_seconds?: number;
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  readonly trace_id?: string;
}

function seen({ to, span }: SentSpan, { resource, start }: ExpectedSpan): Json {
  const { resourceType: type, resourceId: id } = span;
  return defined({
    to,
    name: span.name,
    resource: typeof resource === "object" ? { type, id } : resource === `${type}/${id}` ? resource : id,
    incarnation: span.incarnation,
    start: start !== undefined && timeMs(start) === span.startMs ? start : formatTime(span.startMs),
    duration_seconds: (span.endMs - span.startMs) / 1_000,
    attributes: span.attributes,
    trace_id: span.traceId,
  });
}

const SPANS: Kind<ExpectedSpan, SentSpan> = {
  one: "span",
  many: "spans",
  usual: () => ({ name: "", resource: "", duration_seconds: 0 }),
  seen,
  related: (expected, differing) => (["name", "resource"] as const).some((key) => expected[key] !== undefined && !differing.has(key)),
};

/** What differs between the spans that exporters were sent and those expected, for people; empty when nothing does. */
export function spanDifferences(expected: readonly ExpectedSpan[], sent: readonly SentSpan[]): readonly string[] {
  return listDifferences(SPANS, expected, sent);
}
