import { basicAuthorization, percentDecoded } from "./http_message.ts";

/** Shorter values are a tenant's number or the like, and would mask half of any message. */
const SECRET_CHARS_MIN = 4;
/** Words of a path, such as `alerts`, are shorter. */
const PATH_SECRET_CHARS_MIN = 12;
const MASK = "REDACTED";

/**
 * What a destination was sent and must not tell in its messages, the longest first: header values and their parts, the
 * URL's credentials and query values; the whole path and its long parts, where `pathToo` says that it is a secret.
 */
export function secretsSent(headers: Readonly<Record<string, string>>, url: URL, pathToo = false): string[] {
  const [username = "", password = ""] = [url.username, url.password].map(percentDecoded);
  const sent = Object.entries(headers).filter(([name]) => name.toLowerCase() !== "content-type").map(([, value]) => value);
  const values = [...sent, ...(username === "" && password === "" ? [] : [basicAuthorization(username, password)])].flatMap(partsOf);
  const path = pathToo ? [`${url.pathname}${url.search}`, url.pathname, ...url.pathname.split("/").filter((part) => part.length >= PATH_SECRET_CHARS_MIN)] : [];
  // As it is written, and as it is meant.
  const query = [...url.search.split(/[?&]/).map((part) => part.slice(part.indexOf("=") + 1)), ...url.searchParams.values()];
  const all = [...values, url.username, url.password, ...query, ...path];
  return [...new Set(all)].filter(({ length }) => length >= SECRET_CHARS_MIN).sort((a, b) => b.length - a.length);
}

/** `Bearer x`: the destination knows, and repeats, just the token; and of `Basic x` what is encoded. */
function partsOf(value: string): string[] {
  const [scheme = "", ...rest] = value.split(/\s+/);
  const user = scheme.toLowerCase() === "basic" && rest.length === 1 ? Buffer.from(rest[0]!, "base64").toString("utf8") : "";
  return [value, ...rest, user, user.slice(user.indexOf(":") + 1)];
}

/** The text with the secrets masked, and bounded. */
export function withoutSecrets(secrets: readonly string[], text: string): string {
  return secrets.reduce((rest, secret) => rest.replaceAll(secret, MASK), text).slice(0, 400);
}
