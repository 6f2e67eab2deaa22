import { createHash, createHmac } from "node:crypto";
import { ConfigError } from "../../src/sdk/errors.ts";

/** Headers of one attempt. */
export type Sign = (id: string, body: string, now: number) => Record<string, string>;

/**
 * Signs by Standard Webhooks: HMAC-SHA256 of `id.seconds.body`. Throws `ConfigError` where the secret is none.
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
export function signer(secret: string): Sign {
  const encoded = secret.trim().replace(/^whsec_/, "");
  const key = Buffer.from(encoded, "base64");
  if (key.length === 0 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded)) {
    throw new ConfigError("/signing_secret", "is no base64; it looks like whsec_MfKQ…");
  }
  return (id, body, now) => {
    const timestamp = String(Math.floor(now / 1_000));
    const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
    return { "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
  };
}

/** The notification's id as a header may hold it, and without a dot, which separates what is signed. */
export function deliveryId(id: string): string {
  return /^[\w~/:=+@-]{1,128}$/.test(id) ? id : createHash("sha256").update(id).digest("hex").slice(0, 32);
}
