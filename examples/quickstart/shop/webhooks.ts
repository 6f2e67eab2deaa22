import { createHmac, randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const WAITING_MAX = 1_000;
const ATTEMPTS_MAX = 10;
const TIMEOUT_MS = 5_000;
const BACKOFF_MS = { first: 250, max: 8_000 };

export interface WebhooksOptions {
  readonly url: string;
  /** `whsec_` and base64. */
  readonly secret: string;
  remark(text: string): void;
}

/**
 * Sends events as Standard Webhooks, one after the other, so that their order is kept. Whatever is not answered 2xx is
 * sent again with the same `webhook-id`, as every good sender does; the receiver knows by it what it has already.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function createWebhooks({ url, secret, remark }: WebhooksOptions) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const waiting: { readonly id: string; readonly body: string }[] = [];
  let sending = false;

  async function attempt(id: string, body: string): Promise<boolean> {
    const timestamp = Math.floor(Date.now() / 1_000);
    const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": String(timestamp),
          "webhook-signature": `v1,${signature}`,
        },
        body,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body?.cancel();
      return response.ok;
    } catch {
      return false;
    }
  }

  async function sendAll(): Promise<void> {
    sending = true;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      let attempts = 1;
      while (!(await attempt(next.id, next.body)) && attempts < ATTEMPTS_MAX) {
        await sleep(Math.min(BACKOFF_MS.max, BACKOFF_MS.first * 2 ** (attempts++ - 1)));
      }
      if (attempts === ATTEMPTS_MAX) remark(`a webhook was given up after ${ATTEMPTS_MAX} attempts`);
    }
    sending = false;
  }

  return {
    /** Returns at once. What waits is bounded: with nobody there, the oldest is forgotten. */
    send(event: unknown): void {
      if (waiting.push({ id: `msg_${randomUUID()}`, body: JSON.stringify(event) }) > WAITING_MAX) waiting.shift();
      if (!sending) void sendAll();
    },
  };
}
