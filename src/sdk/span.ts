import type { Observation } from "./observation.ts";
import type { LifecycleChange } from "./resource.ts";
import { spanId, traceId } from "./trace_id.ts";

/** Longer state names are cut where they name a span; the attribute has them whole. */
const NAME_CHARS_MAX = 200;
/** As long as `track` takes ids and states. */
const VALUE_CHARS_MAX = 1_000;

/** Another span that this one has to do with. Lower-case hex digits, as in a span itself. */
export interface SpanLink {
  readonly traceId: string;
  readonly spanId: string;
}

/** A part of a resource's life, finished. Times in ms since the epoch. */
export interface LifecycleSpan {
  /** The same as an alert on this resource carries. */
  readonly traceId: string;
  readonly spanId: string;
  /** Undefined for the root. */
  readonly parentSpanId: string | undefined;
  /** The state; of the root `created`, or the type. */
  readonly name: string;
  readonly startMs: number;
  /** Never before `startMs`. */
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** What caused the observation behind it; from a root also the root of the incarnation before. */
  readonly links: readonly SpanLink[];
  readonly resourceType: string;
  readonly resourceId: string;
  readonly incarnation: number;
}

/**
 * When the span is made that all others of a trace belong to. OTLP carries finished spans only, so it is one or the other:
 * `early`: at first sight, an instant named `created`, so that no span misses its parent and an alert's trace is there;
 * `final`: in a terminal state or on deletion, as long as the whole life, missing until then.
 */
export type RootSpan = "early" | "final";

/**
 * The spans of an observation with `lifecycle`; none of any other. Pure, and the same change gives the same ids, in whatever
 * process: what is sent twice is one span. A life that ended before it began, by its times, is an instant, and says so.
 */
export function spansOf(observation: Observation, externalLabels: Readonly<Record<string, string>>, root: RootSpan): LifecycleSpan[] {
  const { lifecycle } = observation;
  if (lifecycle === undefined) return [];
  const { left, ended, began } = lifecycle;
  const cause = linkOf(observation.traceparent);
  const links = cause === undefined ? [] : [cause];
  const spans: LifecycleSpan[] = [];
  if (began !== undefined && root === "early") {
    const instant = { name: "created", startMs: began.at, endMs: began.at };
    spans.push(rootSpan(lifecycle, externalLabels, began.incarnation, instant, links, stateOf(began.state)));
  }
  if (left !== undefined) {
    const trace = traceId(externalLabels, lifecycle.type, lifecycle.id, left.incarnation);
    // A state may be entered twice at one instant: where it went tells the two apart.
    const own = spanId(trace, JSON.stringify([left.state, left.to ?? null, left.at]), left.since);
    const attributes = { ...stateOf(left.state), ...(left.to === undefined ? { "sojourn.deleted": true } : { "sojourn.next_state": cut(left.to, VALUE_CHARS_MAX) }) };
    const during = { name: left.state, startMs: left.since, endMs: left.at };
    spans.push(span(lifecycle, left.incarnation, { traceId: trace, spanId: own, parentSpanId: rootId(trace) }, during, links, attributes));
  }
  if (ended !== undefined && root === "final") {
    const whole = { name: lifecycle.type, startMs: ended.began, endMs: ended.at };
    const attributes = {
      ...stateOf(ended.state),
      ...(ended.deleted ? { "sojourn.deleted": true } : {}),
      ...(ended.estimated ? { "sojourn.estimated": true } : {}),
    };
    spans.push(rootSpan(lifecycle, externalLabels, ended.incarnation, whole, links, attributes));
  }
  return spans;
}

/**
 * What a `traceparent` names; undefined where it is none by the letter. Of a later version, the part that is known counts.
 * https://www.w3.org/TR/trace-context/#versioning-of-traceparent
 */
export function linkOf(traceparent: string | undefined): SpanLink | undefined {
  const parts = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/.exec(traceparent ?? "");
  if (parts === null || (parts[1] === "00" && parts[4] !== undefined)) return undefined;
  return { traceId: parts[2]!, spanId: parts[3]! };
}

interface Ids {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
}
type During = Pick<LifecycleSpan, "name" | "startMs" | "endMs">;

function rootSpan(
  change: LifecycleChange, externalLabels: Readonly<Record<string, string>>, incarnation: number, during: During,
  links: readonly SpanLink[], attributes: LifecycleSpan["attributes"],
): LifecycleSpan {
  const trace = traceId(externalLabels, change.type, change.id, incarnation);
  const before = incarnation > 1 ? traceId(externalLabels, change.type, change.id, incarnation - 1) : undefined;
  const all = before === undefined ? links : [...links, { traceId: before, spanId: rootId(before) }];
  return span(change, incarnation, { traceId: trace, spanId: rootId(trace), parentSpanId: undefined }, during, all, attributes);
}

function span(
  { type, id }: LifecycleChange, incarnation: number, ids: Ids, { name, startMs, endMs }: During,
  links: readonly SpanLink[], attributes: LifecycleSpan["attributes"],
): LifecycleSpan {
  // A span carries nanoseconds since 1970, unsigned.
  const start = Math.max(0, startMs);
  const end = Math.max(start, endMs);
  return {
    ...ids,
    name: cut(name, NAME_CHARS_MAX),
    startMs: start,
    endMs: end,
    attributes: {
      "sojourn.resource.type": type,
      "sojourn.resource.id": cut(id, VALUE_CHARS_MAX),
      "sojourn.resource.incarnation": incarnation,
      ...attributes,
      ...(start !== startMs || end !== endMs ? { "sojourn.clamped": true } : {}),
    },
    links,
    resourceType: type,
    resourceId: id,
    incarnation,
  };
}

function rootId(trace: string): string {
  return spanId(trace, "", 0);
}

function stateOf(state: string): LifecycleSpan["attributes"] {
  return state === "" ? {} : { "sojourn.state": cut(state, VALUE_CHARS_MAX) };
}

/** Well-formed: a lone surrogate is no UTF-8, which OTLP requires. */
function cut(text: string, charsMax: number): string {
  return (text.length > charsMax ? `${text.slice(0, charsMax - 1)}…` : text).toWellFormed();
}
