import type { Dispatcher } from "undici";
import { BodyError, decompress } from "./body_decode.ts";
import { PermanentError } from "./errors.ts";

/** Headers that say nothing of who we are, so that another origin may see them. */
const HARMLESS = new Set(["accept", "accept-encoding", "accept-language", "user-agent"]);

/** The URL to ask. Throws `PermanentError`, without repeating the text. */
export function targetOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null) throw new PermanentError("the URL is not valid");
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new PermanentError("the URL is neither http nor https");
  return url;
}

/** Headers with lower-case names; credentials in the URL become basic authentication. */
export function headersOf(given: Readonly<Record<string, string>>, url: URL): Record<string, string> {
  const headers: Record<string, string> = { "user-agent": "sojourn", "accept-encoding": "gzip, br" };
  for (const [name, value] of Object.entries(given)) headers[name.toLowerCase()] = value;
  if (url.username !== "" || url.password !== "") {
    headers["authorization"] ??= basicAuthorization(percentDecoded(url.username), percentDecoded(url.password));
  }
  return headers;
}

/** The value of `Authorization` for a user. */
export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

/** Percent-encoded text as it was meant; what is no such text stays. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Where a GET or HEAD is redirected to, as the answer says. */
export function redirection(method: string, response: Dispatcher.ResponseData): string | undefined {
  if (method !== "GET" && method !== "HEAD") return undefined;
  if (![301, 302, 303, 307, 308].includes(response.statusCode)) return undefined;
  const { location } = response.headers;
  return typeof location === "string" ? location : undefined;
}

/**
 * The URL that a redirect leads to. Throws `PermanentError` where it must not be followed: what proves who we are is
 * never shown to another origin.
 */
export function redirected(
  from: URL, location: string, headers: Readonly<Record<string, string>>, clientCertificate: boolean,
): URL {
  const to = URL.parse(location, from.href);
  if (to === null || (to.protocol !== "http:" && to.protocol !== "https:")) throw new PermanentError("redirected to no valid URL");
  const upgrade = from.protocol === "http:" && to.protocol === "https:" && from.hostname === to.hostname;
  if (to.origin === from.origin || upgrade) return to;
  if (from.protocol === "https:" && to.protocol === "http:") throw new PermanentError(`redirected to ${to.origin}, which is not encrypted`);
  if (clientCertificate || Object.keys(headers).some((name) => !HARMLESS.has(name))) {
    throw new PermanentError(`redirected to ${to.origin}, which must not see the credentials; configure that URL`);
  }
  return to;
}

/** True for a status that may be another one next time. */
export function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500;
}

interface Whole {
  readonly status: number;
  readonly headers: Record<string, string | undefined>;
  readonly body: Buffer;
}

/**
 * Reads an answer to its end, decompressed. Throws `PermanentError` when it is too large or no valid encoding, and what broke
 * it off. Where the status says all that matters (it asks to come back, or the body is optional) such a body counts as empty:
 * a proxy's error page loses no alert.
 */
export async function whole(
  response: Dispatcher.ResponseData, { bodyBytesMax, bodyOptional = false }: { readonly bodyBytesMax: number; readonly bodyOptional?: boolean },
): Promise<Whole> {
  const headers = Object.create(null) as Record<string, string | undefined>;
  for (const [name, value] of Object.entries(response.headers)) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  const status = response.statusCode;
  const empty: Whole | undefined = bodyOptional || isPassing(status) ? { status, headers, body: Buffer.alloc(0) } : undefined;
  const unreadable = (message: string): Whole => {
    if (empty === undefined) throw new PermanentError(message);
    return empty;
  };
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response.body as AsyncIterable<Buffer>) {
      size += chunk.length;
      // Leaving the loop destroys the stream, and with it the connection.
      if (size > bodyBytesMax) return unreadable(`the answer is larger than ${bodyBytesMax} bytes`);
      chunks.push(chunk);
    }
    const bytes = Buffer.concat(chunks);
    return { status, headers, body: size === 0 ? bytes : await decompress(bytes, headers["content-encoding"], bodyBytesMax) };
  } catch (error) {
    if (error instanceof BodyError) return unreadable(`the answer: ${error.message}`);
    if (empty === undefined || error instanceof PermanentError) throw error;
    return empty;
  }
}

/** Lets go of an answer that nobody reads, with its connection. */
export function discard(response: Dispatcher.ResponseData): void {
  response.body.on("error", () => {}).destroy();
}
