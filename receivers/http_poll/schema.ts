import { authSchema } from "../../src/sdk/http_auth.ts";
import { expectEverySchema } from "../../src/sdk/expect_every.ts";
import { tlsSchema } from "../../src/sdk/tls.ts";

const HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";

/** Keys of an `http_poll` receiver. */
export const httpPollSchema = {
  type: "object",
  additionalProperties: false,
  properties: {
    url: { type: "string", minLength: 1, description: "What to ask. Give either `url` or `urls`." },
    urls: {
      type: "array", minItems: 1, maxItems: 1_000, uniqueItems: true, items: { type: "string", minLength: 1 },
      description: "Several targets, each polled on its own: a slow or dead one delays no other.",
    },
    method: { type: "string", enum: ["GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS"], default: "GET", description: "HTTP method." },
    headers: {
      type: "object", propertyNames: { pattern: HEADER_NAME },
      additionalProperties: { type: "string", writeOnly: true, pattern: "^[^\\r\\n\\u0000]*$", description: "Value of the header." },
      description: "Headers of each request. Values are treated as secrets.",
    },
    body: { type: "string", description: "Body of each request; sent as application/json unless `headers` says otherwise." },
    interval: {
      type: "string", format: "duration", default: "30s",
      description: "From the start of a poll to the start of the next. Polls of one target never overlap.",
    },
    timeout: { type: "string", format: "duration", default: "10s", description: "For the whole request and its answer." },
    jitter: {
      type: "string", format: "duration",
      description: "Each poll starts up to this much later, so that targets and agents do not align. "
        + "Default: a tenth of the interval, at most 5s.",
    },
    auth: authSchema("Files are read before each poll, so that a rotated secret is used at once."),
    tls: tlsSchema,
    max_body_size: {
      type: "string", format: "size", default: "10MiB",
      description: "A larger answer, compressed or not, is a failed poll.",
    },
    each: {
      type: "string", expression: ["body", "attributes"],
      description: "Gives a list out of the answer: one observation for each item.",
    },
    include_headers: {
      type: "array", maxItems: 50, uniqueItems: true, items: { type: "string", pattern: HEADER_NAME },
      description: "Headers of the answer that become attributes `http.response.header.<name>`.",
    },
    status_is_data: {
      type: "boolean", default: false,
      description: "An answer that is not 2xx is an observation too, as a whole (`each` is for 2xx); otherwise it is a failed poll.",
    },
    ...expectEverySchema,
  },
  examples: [{ url: "https://shop.example/api/v1/orders", interval: "10s", each: "body.orders" }],
} as const;
