import { expectEverySchema } from "../../src/sdk/expect_every.ts";

const HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/** Keys of a `webhook` receiver. */
export const webhookSchema = {
  type: "object",
  additionalProperties: false,
  required: ["listen", "path"],
  properties: {
    listen: { type: "string", format: "address", description: "Address, shared by all receivers that name it." },
    path: {
      type: "string", pattern: "^/[^?#\\s]*$",
      description: "Path that belongs to this receiver; `/*` at its end takes everything below.",
    },
    max_body_size: { type: "string", format: "size", default: "1MiB", description: "A larger body, compressed or not, gets 413." },
    in_flight_max: { type: "integer", minimum: 1, maximum: 100_000, default: 64, description: "Requests under way at once; beyond, 503." },
    rate_limit: {
      type: "number", exclusiveMinimum: 0,
      description: "Requests per second, with a burst of one second's worth; beyond, 429. Default: no limit.",
    },
    each: {
      type: "string", expression: ["body", "attributes"],
      description: "Gives a list out of the body: one observation for each item.",
    },
    id: {
      type: "string", expression: ["body", "attributes"],
      description: "Idempotency key: a redelivery with the same one changes nothing. "
        + "Evaluated for each item where `each` is given. Default: the delivery's id, where the signature scheme has one.",
    },
    include_headers: {
      type: "array", maxItems: 50, uniqueItems: true, items: { type: "string", pattern: HEADER_NAME },
      description: "Headers that become attributes `http.request.header.<name>`. `x-github-event` always does with the scheme github.",
    },
    signature: {
      type: "object", additionalProperties: false, required: ["scheme", "secrets"],
      description: "What a request must be signed with; without it anybody who reaches the address is believed.",
      properties: {
        scheme: { type: "string", enum: ["github", "standard_webhooks", "stripe", "slack", "hmac"], description: "Whose signature it is." },
        secrets: {
          type: "array", minItems: 1, maxItems: 10, items: { type: "string", minLength: 1, writeOnly: true },
          description: "Shared secrets; any may have signed, so that one can be rotated. "
            + "For standard_webhooks base64, with or without `whsec_`.",
        },
        header: {
          type: "string", pattern: HEADER_NAME,
          description: "Header of the signature, where it is not the scheme's own; needed for hmac.",
        },
        prefix: { type: "string", maxLength: 64, description: "hmac: text before the signature in its header, such as `sha256=`." },
        algorithm: { type: "string", enum: ["sha1", "sha256", "sha384", "sha512"], description: "hmac: hash function. Default sha256." },
        tolerance: {
          type: "string", format: "duration", default: "5m",
          description: "How far the signed time may be from now, both ways. github and hmac sign no time.",
        },
      },
    },
    ...expectEverySchema,
  },
  examples: [{
    listen: "127.0.0.1:8081", path: "/webhooks/orders", signature: { scheme: "standard_webhooks", secrets: ["${env:HOOK_SECRET}"] },
  }],
} as const;
