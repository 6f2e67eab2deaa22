import { createHash } from "node:crypto";
import type { Alert } from "./alert.ts";
import { linkOf, observationText, pathText } from "./alert_story.ts";
import { cut, resourceText, summaryText, timeText, valueText } from "./alert_text.ts";

const DETAILS_MAX = 24;
const TEXT_MAX = 4_096;

type Texts = Readonly<Record<string, string>>;

/**
 * Labels by which Alertmanager, and whoever speaks its language, tells alerts apart: the alert's own, `resource_id` where it
 * is about a resource, and `rule` where that differs from the alert's name. None is empty, all names are legal, and they
 * stay the same as long as the alert fires.
 */
export function identityLabels({ alert, labels, resource, rule }: Alert): Record<string, string> {
  return legal({
    ...labels,
    ...(resource.id === "" ? {} : { resource_id: resource.id }),
    ...(rule === alert ? {} : { rule }),
  });
}

/** The alert's annotations, and what is known besides as further ones, where they leave the name free. Values may change. */
export function storyAnnotations(alert: Alert): Record<string, string> {
  const { acknowledged, annotations, details, limit, observation, reason, stale_since, story, value } = alert;
  const known: [name: string, text: string | undefined][] = [
    ["summary", summaryText(alert)],
    ["resource", resourceText(alert)],
    ["value", value === null ? undefined : valueText(value)],
    ["limit", limit],
    ["active_at", timeText(alert.active_at)],
    ...Object.entries(details).slice(0, DETAILS_MAX).map(([name, said]): [string, string] => [name, said === null ? "" : valueText(said)]),
    ["reason", reason],
    ["stale_since", stale_since === undefined ? undefined : timeText(stale_since)],
    ["flapping", alert.flapping ? "true" : undefined],
    ["path", story && pathText(story.transitions)],
    ["others_firing", story && String(story.others)],
    ["observed", observation && observationText(observation)],
    ["acknowledged_by", acknowledged?.by],
    ["trace_id", alert.trace_id],
  ];
  const told = Object.entries(annotations).filter(([, text]) => text.trim() !== "");
  const names = new Set(told.map(([name]) => name));
  const more = new Map<string, string>();
  for (const [name, text] of known) if (text !== undefined && !names.has(name) && !more.has(name)) more.set(name, cut(text, TEXT_MAX));
  return legal(Object.fromEntries([...told, ...more]));
}

/** Where a browser finds the alert, if that is known; else empty, as Alertmanager has it. */
export function generatorUrl(alert: Alert): string {
  return linkOf(alert) ?? "";
}

/** Names a set of labels: 16 hex digits, as Alertmanager's fingerprints; these are the first of their SHA-256. */
export function fingerprintOf(labels: Texts): string {
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 16);
}

/**
 * Sorted by name, without what is empty, each name as Prometheus has it. Two names that become one share their place, so
 * that what told alerts apart still does.
 * https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
 */
function legal(texts: Texts): Record<string, string> {
  const out = new Map<string, string>();
  for (const [name, text] of Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const value = text.toWellFormed();
    if (value === "" || name === "") continue;
    const clean = name.replace(/[^a-zA-Z0-9_]/g, "_").replace(/^(?=\d)/, "_");
    const before = out.get(clean);
    out.set(clean, before === undefined ? value : `${before};${value}`);
  }
  return Object.fromEntries(out);
}
