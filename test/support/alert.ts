import assert from "node:assert/strict";
import { inspect } from "node:util";
import type { Alert, Notification } from "../../src/sdk/alert.ts";
import { messageOf } from "../../src/sdk/errors.ts";

const HOUR_MS = 3_600_000;
/** When the alerts of `alertOf` fire. */
export const FIRED_AT = Date.UTC(2026, 0, 1, 3, 2);

/** A firing alert about a stuck order. */
export function alertOf(parts: Partial<Alert> = {}): Alert {
  return {
    alert: "OrderStuckInPending",
    rule: "OrderStuckInPending",
    status: "firing",
    resource: { type: "order", id: "o1" },
    labels: { alertname: "OrderStuckInPending", resource_type: "order", severity: "critical", state: "pending", team: "checkout" },
    annotations: { summary: "Order o1 has been pending for 30m" },
    value: "pending",
    limit: "30m",
    group: undefined,
    stale_since: undefined,
    flapping: false,
    observation: undefined,
    acknowledged: undefined,
    trace_id: "0123456789abcdef0123456789abcdef",
    active_at: FIRED_AT - HOUR_MS / 2,
    fired_at: FIRED_AT,
    resolved_at: undefined,
    reason: undefined,
    dedup_key: "sojourn/eu-1/OrderStuckInPending/order/o1",
    details: { state: "pending", since: "2026-01-01T02:32:00.000Z", limit: "30m" },
    ...parts,
  };
}

/** The same, over an hour later. */
export function resolvedOf(parts: Partial<Alert> = {}): Alert {
  return alertOf({ status: "resolved", resolved_at: FIRED_AT + HOUR_MS, reason: "recovered", ...parts });
}

export function notificationOf(...alerts: Alert[]): Notification {
  const over = alerts.every((a) => a.status === "resolved");
  return {
    id: "n1",
    key: alerts[0]!.dedup_key,
    status: over ? "resolved" : "firing",
    cause: over ? "resolved" : "fired",
    alerts,
    group: {},
    receipt: undefined,
  };
}

/** Why a notification failed; it must have, and without showing the secret anywhere. */
export async function failureOf(send: Promise<unknown>, secret: string): Promise<Error> {
  const error: unknown = await send.then(() => undefined, (e: unknown) => e);
  assert.ok(error instanceof Error, "it should have failed");
  const said = `${inspect(error, { depth: 10 })} ${messageOf(error)}`;
  assert.ok(!said.includes(secret), said);
  return error;
}
