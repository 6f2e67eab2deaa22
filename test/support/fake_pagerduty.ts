import type { IncomingMessage } from "node:http";
import { scriptedServer, type Answer, type ScriptedServer } from "./scripted_server.ts";

const BODY_BYTES_MAX = 512_000;
const PATH = "/v2/enqueue";
const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** One incident, as PagerDuty keeps it. */
export interface Incident {
  readonly dedup_key: string;
  readonly routing_key: string;
  status: "triggered" | "acknowledged" | "resolved";
  summary: string;
  severity: string;
  /** Events that opened it, added to it, or closed it. */
  events: number;
}

export interface PagerDutyEvent {
  readonly routing_key: string;
  readonly event_action: "trigger" | "acknowledge" | "resolve";
  readonly dedup_key: string;
  readonly client?: string;
  readonly client_url?: string;
  readonly links?: readonly { readonly href: string; readonly text: string }[];
  readonly payload?: {
    readonly summary: string;
    readonly source: string;
    readonly severity: string;
    readonly timestamp?: string;
    readonly component?: string;
    readonly group?: string;
    readonly class?: string;
    readonly custom_details?: unknown;
  };
}

/** PagerDuty's Events API v2, stricter than the real one: what it does not know it refuses. */
export interface FakePagerDuty extends ScriptedServer {
  readonly url: string;
  /** Every incident ever, oldest first: one key may have several, at most one of them open. */
  readonly incidents: readonly Incident[];
  /** Accepted events, in order. */
  readonly events: readonly PagerDutyEvent[];
  /** Why events were refused. */
  readonly refused: readonly string[];
}

export async function fakePagerDuty(): Promise<FakePagerDuty> {
  const incidents: Incident[] = [];
  const events: PagerDutyEvent[] = [];
  const refused: string[] = [];

  /** A trigger opens an incident or adds to the open one; a stray resolve is dropped; after a resolve a trigger opens another. */
  function apply({ routing_key, event_action, dedup_key, payload }: PagerDutyEvent): void {
    const open = incidents.find((i) => i.dedup_key === dedup_key && i.routing_key === routing_key && i.status !== "resolved");
    if (open !== undefined) {
      open.events++;
      if (event_action === "resolve") open.status = "resolved";
      if (event_action === "acknowledge") open.status = "acknowledged";
    } else if (event_action === "trigger") {
      incidents.push({ dedup_key, routing_key, status: "triggered", summary: payload!.summary, severity: payload!.severity, events: 1 });
    }
  }

  function answer(request: IncomingMessage, body: Buffer): Answer {
    const errors = request.method !== "POST" || request.url !== PATH ? [`no ${request.method} ${request.url} here`] : problems(request, body);
    if (errors.length > 0) {
      refused.push(...errors);
      const status = body.length > BODY_BYTES_MAX ? 413 : 400;
      return { status, body: JSON.stringify({ status: "invalid event", message: "Event object is invalid", errors }) };
    }
    const event = JSON.parse(body.toString("utf8")) as PagerDutyEvent;
    events.push(event);
    apply(event);
    return { status: 202, body: JSON.stringify({ status: "success", message: "Event processed", dedup_key: event.dedup_key }) };
  }

  const server = await scriptedServer(answer);
  return {
    ...server,
    get requests() {
      return server.requests;
    },
    url: `${server.origin}${PATH}`, incidents, events, refused,
  };
}

type Check = (value: unknown) => string | undefined;

function text(min: number, max: number): Check {
  return (value) => (typeof value === "string" && value.length >= min && value.length <= max ? undefined : `must be text of ${min} to ${max} characters`);
}

function oneOf(...allowed: string[]): Check {
  return (value) => (allowed.includes(value as string) ? undefined : `must be one of ${allowed.join(", ")}`);
}

function links(value: unknown): string | undefined {
  const good = (link: unknown): boolean => isRecord(link) && Object.keys(link).every((key) => key === "href" || key === "text")
    && URL.canParse(String(link["href"])) && text(1, 255)(link["text"]) === undefined;
  return Array.isArray(value) && value.length > 0 && value.every(good) ? undefined : "must be a list of links";
}

const EVENT: Readonly<Record<string, Check>> = {
  routing_key: (value) => (typeof value === "string" && value.length === 32 ? undefined : "is incorrect (should be 32 characters)"),
  event_action: oneOf("trigger", "acknowledge", "resolve"),
  dedup_key: text(1, 255),
  client: text(1, 255),
  client_url: text(1, 2_048),
  links,
  images: (value) => (Array.isArray(value) ? undefined : "must be a list"),
  payload: (value) => (isRecord(value) ? undefined : "must be an object"),
};

const PAYLOAD: Readonly<Record<string, Check>> = {
  summary: text(1, 1_024),
  source: text(1, 255),
  severity: oneOf("critical", "error", "warning", "info"),
  timestamp: (value) => (RFC3339.test(String(value)) ? undefined : "must be RFC 3339"),
  component: text(1, 255),
  group: text(1, 255),
  class: text(1, 255),
  custom_details: (value) => (isRecord(value) ? undefined : "must be an object"),
};

function problems(request: IncomingMessage, body: Buffer): string[] {
  if (body.length > BODY_BYTES_MAX) return [`${body.length} bytes are too many`];
  if (request.headers["content-type"] !== "application/json") return [`content type ${request.headers["content-type"]}`];
  let event: unknown;
  try {
    event = JSON.parse(body.toString("utf8"));
  } catch {
    return ["not JSON"];
  }
  if (!isRecord(event)) return ["not an object"];
  if (/(?<!\\)(?:\\\\)*\\u(?:d[89a-f]|0000)/.test(body.toString("utf8"))) return ["half a character, or none"];
  const found = checked(event, EVENT, ["routing_key", "event_action", "dedup_key"], "");
  if (event["event_action"] !== "trigger") return event["payload"] === undefined ? found : [...found, "'payload' belongs to a trigger"];
  if (!isRecord(event["payload"])) return [...found, "'payload' is missing or blank"];
  return [...found, ...checked(event["payload"], PAYLOAD, ["summary", "source", "severity"], "payload.")];
}

function checked(value: Record<string, unknown>, checks: typeof EVENT, required: string[], at: string): string[] {
  const missing = required.filter((name) => value[name] === undefined).map((name) => `'${at}${name}' is missing or blank`);
  const wrong = Object.entries(value).flatMap(([name, v]) => {
    const said = Object.hasOwn(checks, name) ? checks[name]!(v) : "is not known";
    return said === undefined ? [] : [`'${at}${name}' ${said}`];
  });
  return [...missing, ...wrong];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
