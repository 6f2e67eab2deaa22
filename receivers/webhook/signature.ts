import { createHmac, timingSafeEqual } from "node:crypto";
import { durationMs } from "../../src/sdk/duration.ts";
import { ConfigError } from "../../src/sdk/errors.ts";

/** Bounds the work of a request whose header lists many. */
const SIGNATURES_MAX = 16;

type Headers = Readonly<Record<string, string | undefined>>;

/** `signature` as configured. */
export interface SignatureConfig {
  readonly scheme: "github" | "standard_webhooks" | "stripe" | "slack" | "hmac";
  readonly secrets: readonly string[];
  readonly header?: string | undefined;
  readonly prefix?: string | undefined;
  readonly algorithm?: "sha1" | "sha256" | "sha384" | "sha512" | undefined;
  readonly tolerance: string;
}

/** What a scheme finds in a request. */
interface Claim {
  /** What was signed besides the body, which follows it. */
  readonly before: string;
  /** Seconds since the epoch, as sent; undefined where the scheme signs no time. */
  readonly timestamp: string | undefined;
  /** Encoded signatures, any of which will do. */
  readonly signatures: readonly string[];
}

/** Why a request is not believed; undefined when it is. `now` in ms. */
export type Verify = (headers: Headers, body: Uint8Array, now: number) => string | undefined;

/**
 * Checks the raw bytes before anything is decoded: each secret against each signature in constant time, so that secrets
 * can be rotated, and the signed time against the tolerance, both ways. Throws `ConfigError` where it could never succeed,
 * or would believe anybody.
 *
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * https://docs.stripe.com/webhooks?verify=verify-manually
 * https://docs.slack.dev/authentication/verifying-requests-from-slack
 */
export function verifier(config: SignatureConfig): Verify {
  const { scheme } = config;
  if (scheme === "hmac" && config.header === undefined) throw new ConfigError("/signature/header", "is needed for the scheme hmac");
  for (const key of ["prefix", "algorithm"] as const) {
    if (scheme !== "hmac" && config[key] !== undefined) {
      throw new ConfigError(`/signature/${key}`, `is for the scheme hmac; ${scheme} has its own`);
    }
  }
  const keys = config.secrets.map((secret, index) => keyOf(scheme, secret, `/signature/secrets/${index}`));
  const algorithm = config.algorithm ?? "sha256";
  const header = (config.header ?? HEADERS[scheme]).toLowerCase();
  const toleranceMs = durationMs(config.tolerance);

  return (headers, body, now) => {
    const claim = claimOf(scheme, headers, header, config.prefix ?? "");
    if (typeof claim === "string") return claim;
    if (claim.timestamp !== undefined) {
      if (!/^\d{1,12}$/.test(claim.timestamp)) return "the signed time is no time";
      if (Math.abs(now - Number(claim.timestamp) * 1_000) > toleranceMs) return "the signed time is too far from now";
    }
    const given = claim.signatures.slice(0, SIGNATURES_MAX);
    let found = false;
    for (const key of keys) {
      const digest = createHmac(algorithm, key).update(claim.before).update(body).digest();
      for (const signature of given) {
        const bytes = decoded(signature, scheme, digest.length);
        // Compared even after a match: the time taken tells nothing of which secret it was.
        if (bytes !== undefined && timingSafeEqual(bytes, digest)) found = true;
      }
    }
    return found ? undefined : "no signature matches";
  };
}

const HEADERS: Readonly<Record<SignatureConfig["scheme"], string>> = {
  github: "x-hub-signature-256",
  standard_webhooks: "webhook-signature",
  stripe: "stripe-signature",
  slack: "x-slack-signature",
  hmac: "",
};

/** The header of the idempotency id and of the time, beside `webhook-signature`, or whatever stands in for "webhook". */
export function standardHeader(signatureHeader: string | undefined, name: "id" | "timestamp"): string {
  return `${(signatureHeader ?? HEADERS.standard_webhooks).toLowerCase().replace(/-?signature$/, "")}-${name}`;
}

function claimOf(scheme: SignatureConfig["scheme"], headers: Headers, header: string, prefix: string): Claim | string {
  const value = headers[header];
  if (value === undefined || value === "") return `the header ${header} is missing`;
  switch (scheme) {
    case "github":
      return { before: "", timestamp: undefined, signatures: prefixed([value], "sha256=") };
    case "hmac":
      return { before: "", timestamp: undefined, signatures: prefixed(value.split(",").map((part) => part.trim()), prefix) };
    case "slack": {
      const timestamp = headers["x-slack-request-timestamp"];
      if (timestamp === undefined) return "the header x-slack-request-timestamp is missing";
      return { before: `v0:${timestamp}:`, timestamp, signatures: prefixed([value], "v0=") };
    }
    case "stripe": {
      const parts = value.split(",").map((part) => part.trim());
      const [timestamp] = prefixed(parts, "t=");
      if (timestamp === undefined) return "the signature has no time";
      return { before: `${timestamp}.`, timestamp, signatures: prefixed(parts, "v1=") };
    }
    case "standard_webhooks": {
      const [id, timestamp] = [headers[standardHeader(header, "id")], headers[standardHeader(header, "timestamp")]];
      if (id === undefined || timestamp === undefined) return "the header of the id or of the time is missing";
      return { before: `${id}.${timestamp}.`, timestamp, signatures: prefixed(value.split(" "), "v1,") };
    }
  }
}

function prefixed(parts: readonly string[], prefix: string): string[] {
  return parts.filter((part) => part.startsWith(prefix)).map((part) => part.slice(prefix.length));
}

function decoded(signature: string, scheme: SignatureConfig["scheme"], length: number): Buffer | undefined {
  const hex = scheme !== "standard_webhooks" && signature.length === 2 * length && /^[0-9a-fA-F]+$/.test(signature);
  const base64 = (scheme === "standard_webhooks" || scheme === "hmac") && !hex;
  if (!hex && !base64) return undefined;
  const bytes = Buffer.from(signature, hex ? "hex" : "base64");
  return bytes.length === length ? bytes : undefined;
}

function keyOf(scheme: SignatureConfig["scheme"], secret: string, pointer: string): Buffer {
  // Anybody can sign with an empty secret; an unset variable must not mean that.
  if (secret.trim() === "") throw new ConfigError(pointer, "is empty");
  if (scheme !== "standard_webhooks") return Buffer.from(secret);
  const encoded = secret.trim().replace(/^whsec_/, "");
  const key = Buffer.from(encoded, "base64");
  if (key.length === 0 || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(encoded)) {
    throw new ConfigError(pointer, "is no base64; it looks like whsec_MfKQ…");
  }
  return key;
}
