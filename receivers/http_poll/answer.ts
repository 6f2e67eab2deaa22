import { bodyKind, decodeBody } from "../../src/sdk/body_decode.ts";
import type { ReceiverContext } from "../../src/sdk/component.ts";
import { eachOf } from "../../src/sdk/each.ts";
import { Failure, type Expression } from "../../src/sdk/expression.ts";
import { refusal, type HttpResponse } from "../../src/sdk/http.ts";
import { bodyOf, observation, type Attributes, type Json, type Observation } from "../../src/sdk/observation.ts";
import { urlFull } from "../../src/sdk/safe_url.ts";

/** What of the configuration decides how an answer is read. */
export interface AnswerOptions {
  readonly each: Expression | undefined;
  /** Lower case. */
  readonly includeHeaders: readonly string[];
  readonly statusIsData: boolean;
}

/** What an answer holds: millions of items may be in it, so observations are made of a batch's worth at a time. */
export interface Answer {
  readonly bodies: readonly Json[];
  readonly observe: (body: Json) => Observation;
}

/**
 * The observations of an answer from `url`. Throws when there are none to be had: not 2xx, unreadable, no list for `each`.
 * Lines of NDJSON fail one by one; each failure is counted as refused.
 */
export function answerOf(
  context: ReceiverContext, { each, includeHeaders, statusIsData }: AnswerOptions, url: string, response: HttpResponse,
): Answer {
  const ok = response.status >= 200 && response.status <= 299;
  if (!ok && !statusIsData) throw refusal(response);
  const attributes: Record<string, string | number> = {
    "url.full": urlFull(url), "http.response.status_code": response.status,
  };
  for (const name of includeHeaders) {
    const value = response.headers[name];
    if (value !== undefined) attributes[`http.response.header.${name}`] = value;
  }
  const fields = { time: response.receivedAt, source: context.id, attributes };
  const observe = (body: Json): Observation => observation(body, fields);
  if (response.body.length === 0 && !statusIsData) return { bodies: [], observe };
  const values = valuesOf(context, response);
  return { bodies: ok && each !== undefined ? itemsOf(context, each, values, attributes) : values, observe };
}

function valuesOf(context: ReceiverContext, response: HttpResponse): readonly Json[] {
  const type = response.headers["content-type"];
  const kind = response.body.length === 0 ? "text" : bodyKind(type) ?? "text";
  try {
    const { values, malformed, reason } = decodeBody(response.body, kind === "form" ? "text" : kind, type);
    if (malformed > 0 && values.length === 0) throw new Error(reason);
    if (malformed > 0) refuse(context, malformed, "malformed", `${response.name}: ${reason}`);
    return values;
  } catch (error) {
    context.refused(1, "malformed");
    throw new Error(`${response.name}: the answer cannot be read`, { cause: error });
  }
}

function itemsOf(context: ReceiverContext, each: Expression, values: readonly Json[], attributes: Attributes): readonly Json[] {
  const items: Json[] = [];
  let failures = 0;
  let reason = "";
  for (const value of values) {
    const given = eachOf(each.evaluate({ body: bodyOf(value), attributes }, context.clock.now()));
    if (given instanceof Failure) {
      if (failures++ === 0) reason = `each: ${given.message}`;
    } else if (values.length === 1) {
      return given;
    } else {
      for (const item of given) items.push(item);
    }
  }
  if (failures === 0) return items;
  if (failures < values.length) {
    refuse(context, failures, "each", reason);
    return items;
  }
  context.refused(failures, "each");
  throw new Error(reason);
}

function refuse(context: ReceiverContext, count: number, reason: string, message: string): void {
  context.refused(count, reason);
  context.report(new Error(message));
}
