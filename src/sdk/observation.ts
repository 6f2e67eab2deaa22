import type { LifecycleChange, ResourceView, Transition } from "./resource.ts";

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** Attribute values are scalars or lists of strings, as in OpenTelemetry. */
export type Attributes = { readonly [key: string]: string | number | boolean | readonly string[] };

declare const opaque: unique symbol;

/**
 * What an observation says, as a handle: a string is text that nobody has decoded, anything else a decoded
 * JSON value or a `LazyBody`. Components read it through compiled expressions, or through `wholeBody` where
 * they need everything, so that a body may stay unparsed bytes of which only some fields were located.
 */
export type Body = { readonly [opaque]: "body" };

/** A body of which only what is asked for gets decoded. The seam for the field scanner (DESIGN §8.1). */
export abstract class LazyBody {
  /** The value at the path, or undefined where there is none. */
  abstract at(path: readonly string[]): Json | undefined;
  /** The whole value, decoded. */
  abstract whole(): Json;
}

/** The handle of a decoded value, of text, or of a lazy body. */
export function bodyOf(value: Json | LazyBody): Body {
  return value as unknown as Body;
}

/** The whole body, decoded if it was lazy. Text stays the string that it is. */
export function wholeBody(body: Body): Json {
  const value = body as unknown as Json | LazyBody;
  return value instanceof LazyBody ? value.whole() : value;
}

/** The value at `path`; undefined where there is none. Own properties only: no input reaches a prototype. */
export function bodyAt(body: Body, path: readonly string[]): Json | undefined {
  let value = body as unknown as Json | LazyBody | undefined;
  if (value instanceof LazyBody) return value.at(path);
  for (let i = 0; i < path.length; i++) {
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, path[i]!)) return undefined;
    value = (value as { readonly [key: string]: Json })[path[i]!];
  }
  return value as Json;
}

/**
 * The one thing that flows. Immutable; valid during its batch: whoever keeps one copies it
 * (`self` is a live view of the resource as this observation left it, see `ResourceView`).
 */
export interface Observation {
  readonly body: Body;
  /** What the receiver knows beside the body, under OpenTelemetry's semantic conventions. */
  readonly attributes: Attributes;
  /** When it was received, in ms since the epoch (a receiver that knows better says so). */
  readonly time: number;
  /** Id of the receiver. */
  readonly source: string;
  /** Idempotency key, unique within the receiver: a redelivery with the same one changes nothing. */
  readonly id: string | undefined;
  /** W3C trace context of what caused it. */
  readonly traceparent: string | undefined;
  /** True for a row of a snapshot: it tells a state and does not invent a transition. */
  readonly snapshot: boolean;
  /** After `track`: the resource that this observation is about. */
  readonly self: ResourceView | undefined;
  /** After `track`: set when the observation moved the resource. */
  readonly transition: Transition | undefined;
  /** Only in what an exporter with `takesLifecycles` gets. */
  readonly lifecycle?: LifecycleChange;
  /** Only in what an exporter with `takesDeadLetters` gets: `source` could not handle or deliver the body, for this reason. */
  readonly deadLetter?: { readonly number: number; readonly reason: string };
}

/** A bounded array of observations: see `BATCH_OBSERVATIONS_MAX`. */
export type Batch = readonly Observation[];

/** `emit` rejects a larger batch: receivers split. */
export const BATCH_OBSERVATIONS_MAX = 10_000;

const NO_ATTRIBUTES: Attributes = Object.freeze({});

/** What a receiver says of an observation beside its body. */
export interface ObservationFields {
  readonly time: number;
  readonly source: string;
  readonly attributes?: Attributes | undefined;
  readonly id?: string | undefined;
  readonly traceparent?: string | undefined;
  readonly snapshot?: boolean | undefined;
}

/** Makes an observation. Always through here, so that all have one hidden class. */
export function observation(body: Json | LazyBody, fields: ObservationFields): Observation {
  return {
    body: bodyOf(body),
    attributes: fields.attributes ?? NO_ATTRIBUTES,
    time: fields.time,
    source: fields.source,
    id: fields.id,
    traceparent: fields.traceparent,
    snapshot: fields.snapshot ?? false,
    self: undefined,
    transition: undefined,
  };
}

/** A copy with another body and, if given, other attributes, another time, and whether it is a row of a snapshot. */
export function withBody(
  from: Observation, body: Json | LazyBody, attributes = from.attributes, time = from.time, snapshot = from.snapshot,
): Observation {
  return {
    body: bodyOf(body),
    attributes,
    time,
    source: from.source,
    id: from.id,
    traceparent: from.traceparent,
    snapshot,
    self: from.self,
    transition: from.transition,
  };
}

/** A copy that knows its resource. */
export function withResource(from: Observation, self: ResourceView, transition: Transition | undefined): Observation {
  return {
    body: from.body,
    attributes: from.attributes,
    time: from.time,
    source: from.source,
    id: from.id,
    traceparent: from.traceparent,
    snapshot: from.snapshot,
    self,
    transition,
  };
}
