import { createHmac, randomBytes } from "node:crypto";
import { freePorts, pause } from "../support/waiting.ts";
import type { MakeSource } from "./source.ts";
import { event, seeded, Truth } from "./truth.ts";

/** Signed webhooks one after the other, each again and again under one id until it is acknowledged. */
export const webhookSource: MakeSource = async ({ seed }) => {
  const truth = new Truth("W", seeded(seed + 2));
  const random = seeded(seed + 4);
  const [port] = await freePorts(1);
  const secret = `whsec_${Buffer.from("a secret of the chaos harness").toString("base64")}`;
  const url = `http://127.0.0.1:${port}/orders`;
  return {
    type: "hooked",
    truth,
    receiver: `webhook: { listen: "127.0.0.1:${port}", path: /orders, signature: { scheme: standard_webhooks, secrets: ["\${env:HOOK_SECRET}"] } }`,
    env: { HOOK_SECRET: secret },
    order: "body",
    async run(ended) {
      let repeats = 0;
      while (!ended()) {
        const body = event(truth.step().order);
        const id = `msg_${randomBytes(12).toString("hex")}`;
        for (let attempt = 0; !(await delivered(url, secret, id, body)); attempt++) {
          repeats++;
          await pause(20);
        }
        // A sender that lost the answer sends once more what was acknowledged.
        if (random() < 0.1) await delivered(url, secret, id, body);
        await pause(random() * 20);
      }
      return repeats;
    },
  };
};

async function delivered(url: string, secret: string, id: string, body: string): Promise<boolean> {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const signature = createHmac("sha256", Buffer.from(secret.slice("whsec_".length), "base64")).update(`${id}.${timestamp}.${body}`).digest("base64");
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` },
      body,
      signal: AbortSignal.timeout(5_000),
    });
    await response.arrayBuffer();
    if (response.status === 401 || response.status === 400) throw new Error(`refused for good: ${response.status}`);
    return response.ok;
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("refused for good")) throw error;
    return false;
  }
}
