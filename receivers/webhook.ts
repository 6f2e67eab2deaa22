import { BodyError, bodyKind, decodeBody, decompress } from "../src/sdk/body_decode.ts";
import { defineReceiver } from "../src/sdk/component.ts";
import { ConfigError, messageOf, NotAcceptedError } from "../src/sdk/errors.ts";
import { Failure } from "../src/sdk/expression.ts";
import { HttpError, type HttpAnswer, type HttpRequest, type Route } from "../src/sdk/listeners.ts";
import { bodyAt, bodyOf, type Batch, type Json } from "../src/sdk/observation.ts";
import { sizeBytes } from "../src/sdk/size.ts";
import { deliveryOf, type DeliveryOptions } from "./webhook/delivery.ts";
import { complaints, tokenBucket } from "./webhook/limits.ts";
import { webhookSchema } from "./webhook/schema.ts";
import { verifier } from "./webhook/signature.ts";

/** Refusals that are the sender's fault and lose what it sent, by status; the others ask it to come back. */
const REASONS: Readonly<Record<number, string>> = { 400: "malformed", 401: "signature", 413: "too_large", 415: "media_type" };

const LOOPBACK = /^(?:127\.|localhost:|\[::1\]:)/i;

/**
 * Takes observations by HTTP. The answer is the acknowledgement: 2xx means that the commit has them, also when they were
 * delivered before. While `in_flight_max` requests are under way others get 503, so memory stays bounded and senders slow.
 * Never 410: it would make a sender drop the endpoint.
 */
export const webhook = defineReceiver({
  type: "webhook",
  summary: "Takes observations by HTTP POST, signed as GitHub, Stripe, Slack, Standard Webhooks or plain HMAC do.",
  stability: "beta",
  schema: webhookSchema,
  create(config, context) {
    const { clock } = context;
    const bodyBytesMax = sizeBytes(config.max_body_size);
    const verify = config.signature === undefined ? undefined : verifier(config.signature);
    const bucket = config.rate_limit === undefined ? undefined : tokenBucket(config.rate_limit, clock);
    const complain = complaints(clock, context.log);
    const options: DeliveryOptions = {
      source: context.id,
      signature: config.signature,
      each: config.each === undefined ? undefined : context.expression("/each", config.each, ["body", "attributes"]),
      id: config.id === undefined ? undefined : context.expression("/id", config.id, ["body", "attributes"]),
      includeHeaders: (config.include_headers ?? []).map((name) => name.toLowerCase()),
    };
    let inFlight = 0;
    const route = claim();

    function claim(): Route {
      try {
        return context.listeners.route(config.listen, config.path, context.id, answer);
      } catch (error) {
        throw new ConfigError("/listen", messageOf(error), { cause: error });
      }
    }

    async function answer(request: HttpRequest): Promise<HttpAnswer> {
      try {
        return await admitted(request);
      } catch (error) {
        const refusal = refusalOf(error);
        const reason = REASONS[refusal.status];
        if (reason === undefined) complain(String(refusal.status), refusal.message, request.remote);
        else {
          context.refused(1, reason);
          complain(reason, refusal.message, request.remote);
        }
        throw refusal;
      }
    }

    async function admitted(request: HttpRequest): Promise<HttpAnswer> {
      if (request.method !== "POST") throw new HttpError(405, "only POST is taken here", { allow: "POST" });
      if (inFlight >= config.in_flight_max) throw new HttpError(503, "too many requests under way", { "retry-after": "1" });
      const wait = bucket?.take() ?? 0;
      if (wait > 0) throw new HttpError(429, "too many requests", { "retry-after": String(wait) });
      inFlight++;
      try {
        return await taken(request);
      } finally {
        inFlight--;
      }
    }

    async function taken(request: HttpRequest): Promise<HttpAnswer> {
      const values = await read(request);
      if (config.signature?.scheme === "slack") {
        const challenge = challengeOf(values);
        if (challenge !== undefined) return { status: 200, body: challenge };
      }
      const delivery = deliveryOf(options, values, request.headers, request.path, clock.now());
      if (delivery instanceof Failure) throw new HttpError(400, `each: ${delivery.message}`);
      const { observations, idFailure } = delivery;
      if (idFailure !== undefined) context.report(new Error(`id: ${idFailure}; taken without one`));
      if (observations.length > 0) await commit(observations);
      return { status: 200, body: "ok\n" };
    }

    async function commit(observations: Batch): Promise<void> {
      try {
        await context.emit(observations);
      } catch (error) {
        // The peer is told to come back; what went wrong, if it is not just the agent's stopping, is ours to know.
        if (!(error instanceof NotAcceptedError)) context.report(error);
        throw error;
      }
    }

    /** The values of a body that may be believed: the signature is over the raw bytes, and comes before decoding. */
    async function read(request: HttpRequest): Promise<readonly Json[]> {
      const { headers } = request;
      const kind = bodyKind(headers["content-type"]);
      if (kind === undefined) throw new HttpError(415, "unsupported media type; JSON, NDJSON, text and forms are taken");
      const raw = await request.bytes(bodyBytesMax);
      const doubt = verify?.(headers, raw, clock.now());
      if (doubt !== undefined) throw new HttpError(401, doubt);
      const bytes = await decompress(raw, headers["content-encoding"], bodyBytesMax);
      const { values, malformed, reason } = decodeBody(bytes, kind, headers["content-type"]);
      if (malformed > 0) throw new BodyError("malformed", reason ?? "no valid NDJSON");
      return values;
    }

    return {
      async start() {
        await route.open();
        if (verify === undefined && !LOOPBACK.test(config.listen)) {
          context.log.warn(
            { listen: config.listen, path: config.path }, "takes unsigned requests from other machines; configure `signature`",
          );
        }
        context.status(() => ({
          listen: config.listen, port: context.listeners.port(config.listen) ?? null, path: config.path, in_flight: inFlight,
        }));
        context.caughtUp();
      },
      // The listener answers 503 to what is still under way when its patience ends.
      stop: () => route.close(),
    };
  },
});

/** What a failed request is answered. Whatever is not the sender's fault asks it to come back. */
function refusalOf(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  if (error instanceof BodyError) {
    const status = { malformed: 400, unsupported: 415, too_large: 413 }[error.kind];
    return new HttpError(status, error.message);
  }
  const message = error instanceof NotAcceptedError ? "not accepted" : "not processed";
  return new HttpError(503, message, { "retry-after": "1" });
}

/** What Slack asks to hear back when an endpoint is set up. https://docs.slack.dev/reference/events/url_verification */
function challengeOf([value]: readonly Json[]): string | undefined {
  if (value === undefined) return undefined;
  const body = bodyOf(value);
  const challenge = bodyAt(body, ["challenge"]);
  return bodyAt(body, ["type"]) === "url_verification" && typeof challenge === "string" ? challenge : undefined;
}
