import type { Alert } from "../../src/sdk/alert.ts";
import { fingerprintOf, generatorUrl, identityLabels, storyAnnotations } from "../../src/sdk/alert_labels.ts";
import { timeText } from "../../src/sdk/alert_text.ts";

// As Prometheus: https://github.com/prometheus/prometheus/blob/main/notifier/notifier.go (DefaultMaxBatchSize)
const BATCH_ALERTS_MAX = 256;
/** A proxy before Alertmanager often takes no more than 1 MiB. */
const BATCH_BYTES_MAX = 1_000_000;

/** An alert as `POST /api/v2/alerts` takes it. */
export interface PostableAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
  readonly generatorURL?: string;
}

/**
 * What Alertmanager is told at `now`, one for each set of labels: a firing alert ends `validForMs` from now unless it is told
 * of again, so that nothing fires for ever when nobody tells of it any more; a resolved one has ended.
 */
export function postableAlerts(alerts: readonly Alert[], now: number, validForMs: number): PostableAlert[] {
  const chosen = new Map<string, { alert: Alert; labels: Record<string, string> }>();
  for (const alert of alerts) {
    const labels = identityLabels(alert);
    const key = fingerprintOf(labels);
    const other = chosen.get(key);
    if (other === undefined || goesBefore(alert, other.alert)) chosen.set(key, { alert, labels });
  }
  return [...chosen.values()].map(({ alert, labels }) => postable(alert, labels, now, validForMs));
}

/** To Alertmanager both are the same alert: that one of them fires must not be lost with the end of the other. */
function goesBefore(a: Alert, b: Alert): boolean {
  if (a.status !== b.status) return b.status === "resolved";
  return a.status === "resolved" && (a.resolved_at ?? 0) > (b.resolved_at ?? 0);
}

function postable(alert: Alert, labels: Record<string, string>, now: number, validForMs: number): PostableAlert {
  const endsAt = alert.status === "resolved" ? Math.max(0, Math.min(alert.resolved_at ?? now, now)) : now + validForMs;
  // A clock that was set back must not make an alert that ends before it starts: that is refused.
  const startsAt = Math.max(0, Math.min(alert.fired_at ?? alert.active_at, endsAt, now));
  const url = generatorUrl(alert);
  return {
    labels,
    annotations: storyAnnotations(alert),
    startsAt: timeText(startsAt),
    endsAt: timeText(endsAt),
    ...(url === "" ? {} : { generatorURL: url }),
  };
}

/** Request bodies, each of at most 256 alerts and, unless a single alert is larger, a megabyte. */
export function batchesOf(alerts: readonly PostableAlert[]): string[] {
  const batches: string[] = [];
  let texts: string[] = [];
  let bytes = 0;
  const close = (): void => {
    if (texts.length > 0) batches.push(`[${texts.join(",")}]`);
    texts = [];
    bytes = 0;
  };
  for (const alert of alerts) {
    const text = JSON.stringify(alert);
    const size = Buffer.byteLength(text) + 1;
    if (texts.length >= BATCH_ALERTS_MAX || bytes + size > BATCH_BYTES_MAX) close();
    texts.push(text);
    bytes += size;
  }
  close();
  return batches;
}
