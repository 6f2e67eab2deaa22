import type { Wanted } from "../../config/model.ts";
import type { Schema } from "../../config/schema_walk.ts";
import type { AnyDefinition } from "../../sdk/component.ts";
import type { Scope } from "../../sdk/expression.ts";
import { observation, type Attributes, type Json, type Observation } from "../../sdk/observation.ts";
import { compileTemplate } from "../../sdk/template_compile.ts";
import { timeMs } from "../../sdk/time.ts";

/** `send` of a step, validated. */
export interface Send {
  readonly to: string;
  readonly body: Json;
  readonly attributes?: Attributes;
  readonly headers?: Readonly<Record<string, string>>;
  readonly id?: string;
  readonly time?: string;
}

const NOTHING: Scope = {};

/**
 * A header that the receiver would keep to itself: the test would see what never comes. Undefined: it passes all of them on.
 * The receiver of a known signature scheme adds the header that names the event.
 */
export function withheldHeader(send: Send, receiver: string, { components }: Pick<Wanted, "components">, definitions: readonly AnyDefinition[]): string | undefined {
  const config = components.find(({ kind, id }) => kind === "receiver" && id === receiver);
  const { properties } = (definitions.find(({ kind, type }) => kind === "receiver" && type === config?.type)?.schema ?? {}) as Schema;
  if (config === undefined || properties?.["include_headers"] === undefined) return undefined;
  const { include_headers: included = [], signature } = config.config as { include_headers?: readonly string[]; signature?: { scheme?: string } };
  const passed = new Set(included.map((name) => name.toLowerCase()));
  if (signature?.scheme === "github") passed.add("x-github-event");
  return Object.keys(send.headers ?? {}).find((name) => !passed.has(name.toLowerCase()));
}

/** The observation that a step sends at `now`, as `receiver` would emit it. Throws when a template in it fails. */
export function sentObservation(send: Send, receiver: string, now: number): Observation {
  const attributes: Record<string, Attributes[string]> = { ...send.attributes };
  for (const [name, value] of Object.entries(send.headers ?? {})) attributes[`http.request.header.${name.toLowerCase()}`] = value;
  const time = send.time === undefined ? now : instant(send.time, "time");
  return observation(rendered(send.body, now), { source: receiver, time, attributes, id: send.id });
}

/** Milliseconds of a time that the schema let pass. */
export function instant(text: string, key: string): number {
  const ms = timeMs(text);
  if (ms === undefined) throw new Error(`${key}: "${text}" is not a time; allowed: RFC 3339 with Z or an offset, such as 2026-01-31T12:00:00Z`);
  return ms;
}

/** Fills in `{{ CEL }}`, in which `now` is the test's time, in every text of a body. Throws when one of them fails. */
export function rendered(body: Json, now: number): Json {
  return mapTexts(body, (text) => {
    let failure: string | undefined;
    const result = compileTemplate(text, []).render(NOTHING, now, (message) => (failure ??= message));
    if (failure !== undefined) throw new Error(`body: ${text}: ${failure}`);
    return result;
  });
}

function mapTexts(value: Json, map: (text: string) => string): Json {
  if (typeof value === "string") return value.includes("{{") ? map(value) : value;
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((item: Json) => mapTexts(item, map));
  // Defines own properties, `__proto__` too.
  return Object.fromEntries(Object.entries(value as { readonly [key: string]: Json }).map(([key, item]) => [key, mapTexts(item, map)]));
}

/** Every text of a body that is no template, as JSON pointer within the body and what is wrong. */
export function* templateErrors(body: Json, pointer = ""): Iterable<{ readonly pointer: string; readonly message: string }> {
  if (typeof body === "string") {
    try {
      if (body.includes("{{")) compileTemplate(body, []);
    } catch (error) {
      yield { pointer, message: `${(error as Error).message} (text between {{ and }} is an expression; write {{ "{{" }} for the characters)` };
    }
  } else if (Array.isArray(body)) {
    for (const [i, item] of (body as readonly Json[]).entries()) yield* templateErrors(item, `${pointer}/${i}`);
  } else if (body !== null && typeof body === "object") {
    for (const [key, item] of Object.entries(body)) yield* templateErrors(item as Json, `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`);
  }
}
