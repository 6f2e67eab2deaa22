/** Names of query parameters whose value is likely a secret: API keys, tokens, signatures of presigned URLs. */
const SECRET_NAME = /key|token|secret|passw|pwd|auth|sig|credential|session|code|jwt|^sv$|^p$/i;
const REDACTED = "REDACTED";

/** A URL for messages and logs: no credentials, no query, no fragment. Text that is no URL is not repeated. */
export function safeUrl(url: string | URL): string {
  const parsed = parse(url);
  return parsed === undefined ? "(no valid URL)" : `${parsed.origin}${parsed.pathname}`;
}

/**
 * A URL as the attribute `url.full`: without credentials and fragment; secret-looking query values are redacted,
 * as OpenTelemetry's semantic conventions ask for.
 * https://opentelemetry.io/docs/specs/semconv/registry/attributes/url/
 */
export function urlFull(url: string | URL): string {
  const parsed = parse(url);
  if (parsed === undefined) return "(no valid URL)";
  const query = [...parsed.searchParams].map(([name, value]) =>
    `${encodeURIComponent(name)}=${SECRET_NAME.test(name) ? REDACTED : encodeURIComponent(value)}`);
  return `${parsed.origin}${parsed.pathname}${query.length === 0 ? "" : `?${query.join("&")}`}`;
}

function parse(url: string | URL): URL | undefined {
  return typeof url === "string" ? URL.parse(url) ?? undefined : url;
}
