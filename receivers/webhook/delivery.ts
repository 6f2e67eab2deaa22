import { createHash } from "node:crypto";
import { eachOf } from "../../src/sdk/each.ts";
import { Failure, type Expression, type Value } from "../../src/sdk/expression.ts";
import { HttpError } from "../../src/sdk/listeners.ts";
import { BATCH_OBSERVATIONS_MAX, bodyAt, bodyOf, observation, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";
import { standardHeader, type SignatureConfig } from "./signature.ts";

const ID_CHARS_MAX = 256;
// Version 00 has exactly these parts; later ones may add to them.
// https://www.w3.org/TR/trace-context/#traceparent-header
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?=$|-)/;

type Headers = Readonly<Record<string, string | undefined>>;

/** What of the configuration decides how a delivery is read. */
export interface DeliveryOptions {
  readonly source: string;
  readonly signature: Pick<SignatureConfig, "scheme" | "header"> | undefined;
  readonly each: Expression | undefined;
  readonly id: Expression | undefined;
  /** Lower case. */
  readonly includeHeaders: readonly string[];
}

/** What a delivery becomes. */
export interface Delivery {
  readonly observations: readonly Observation[];
  /** The first reason why the `id` of an observation could not be had: it is applied without. */
  readonly idFailure: string | undefined;
}

/**
 * The observations of a delivery's decoded values. A delivery with one id and several observations gets `id#0`, `id#1` and so
 * on: they are emitted, and remembered, in one commit, so a redelivery is taken whole or not at all.
 * A failure says that `each` gave no list. Throws `HttpError` 413 when they are more than one commit takes: in one call, so in
 * one commit, what a delivery holds is remembered whole or not at all.
 */
export function deliveryOf(
  options: DeliveryOptions, values: readonly Json[], headers: Headers, path: string, now: number,
): Delivery | Failure {
  const attributes = attributesOf(options, headers, path);
  const bodies: Json[] = [];
  for (const value of values) {
    const items = options.each === undefined ? [value] : eachOf(options.each.evaluate({ body: bodyOf(value), attributes }, now));
    if (items instanceof Failure) return items;
    // Looked at before an observation is made, or an `id` evaluated, for each of what may be half a million.
    if (bodies.length + items.length > BATCH_OBSERVATIONS_MAX) {
      throw new HttpError(413, `more than ${BATCH_OBSERVATIONS_MAX} observations in one request`);
    }
    for (const item of items) bodies.push(item);
  }
  const single = options.each === undefined && values.length === 1;
  const whole = options.id === undefined ? deliveryId(options.signature, headers, values) : undefined;
  const traceparent = TRACEPARENT.exec(headers["traceparent"] ?? "")?.[0];
  let idFailure: string | undefined;
  const observations = bodies.map((body, index) => {
    let id = whole === undefined || single ? whole : `${whole}#${index}`;
    if (options.id !== undefined) {
      const given = idOf(options.id.evaluate({ body: bodyOf(body), attributes }, now));
      if (given instanceof Failure) idFailure ??= given.message;
      else id = given;
    }
    return observation(body, { time: now, source: options.source, attributes, id, traceparent });
  });
  return { observations, idFailure };
}

function attributesOf({ includeHeaders, signature }: DeliveryOptions, headers: Headers, path: string): Attributes {
  const attributes: Record<string, string> = { "url.path": path };
  const names = signature?.scheme === "github" ? [...includeHeaders, "x-github-event"] : includeHeaders;
  for (const name of names) {
    const value = headers[name];
    if (value !== undefined) attributes[`http.request.header.${name}`] = value;
  }
  return attributes;
}

/** The id that the sender gives a delivery, the same when it is delivered again. */
function deliveryId(signature: DeliveryOptions["signature"], headers: Headers, values: readonly Json[]): string | undefined {
  switch (signature?.scheme) {
    case "standard_webhooks":
      return bounded(headers[standardHeader(signature.header, "id")]);
    case "github":
      return bounded(headers["x-github-delivery"]);
    case "stripe":
      return bounded(values.length === 1 ? bodyAt(bodyOf(values[0]!), ["id"]) : undefined);
    case "slack":
      return bounded(values.length === 1 ? bodyAt(bodyOf(values[0]!), ["event_id"]) : undefined);
    case "hmac":
    case undefined:
      return undefined;
  }
}

function idOf(value: Value | Failure): string | Failure {
  if (value instanceof Failure) return value;
  const text = typeof value === "bigint" || (typeof value === "number" && Number.isSafeInteger(value)) ? String(value) : value;
  return bounded(text) ?? NO_ID;
}

const NO_ID = new Failure("gives neither a non-empty string nor an integer");

/** A long id is remembered by its hash: seen ids are kept for days. */
function bounded(id: unknown): string | undefined {
  if (typeof id !== "string" || id === "") return undefined;
  return id.length <= ID_CHARS_MAX ? id : `sha256:${createHash("sha256").update(id).digest("hex")}`;
}
