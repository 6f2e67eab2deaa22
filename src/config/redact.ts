import type { Json } from "../sdk/observation.ts";
import { below, flatten, type Schema } from "./schema_walk.ts";
import { child, type Span, type Tree } from "./tree.ts";

export const REDACTED = "(redacted)";

const SECRET_KEY = /authorization|cookie|token|secret|passw|passphrase|api[-_]?key|private[-_]?key|credential/i;
// Names of things that lead to a secret without being one.
const HARMLESS_KEY = /(?:_file|_path|_url|_name|_ttl|_max)$/i;
const HARMLESS_HEADER = /^(?:accept(?:-.*)?|content-type|content-encoding|user-agent)$/i;
// The scheme's length is bounded, or a long text without a URL would take quadratic time.
const URL_IN_TEXT = /\b([a-z][a-z0-9+.-]{0,30}:\/\/)([^\s"'<>]*)/gi;

/** Text for people: credentials and query values of URLs masked. */
export function redactText(text: string, secrets: readonly Span[] = []): string {
  let out = text;
  for (const span of secrets.toSorted((a, b) => b.start - a.start)) out = out.slice(0, span.start) + REDACTED + out.slice(span.end);
  return out.replace(URL_IN_TEXT, (_, scheme: string, rest: string) => {
    const end = rest.search(/[/?#]/);
    const authority = end === -1 ? rest : rest.slice(0, end);
    const at = authority.lastIndexOf("@");
    return `${scheme}${at === -1 ? authority : `${REDACTED}${authority.slice(at)}`}${end === -1 ? "" : maskedQuery(rest.slice(end))}`;
  });
}

/** Path as it is; of query and fragment only the names. */
function maskedQuery(text: string): string {
  const start = text.search(/[?#]/);
  if (start === -1) return text;
  const parts = text.slice(start).split(/([?&#])/).map((part) => {
    if (part === "" || /^[?&#]$/.test(part)) return part;
    const equals = part.indexOf("=");
    return equals === -1 ? REDACTED : `${part.slice(0, equals + 1)}${REDACTED}`;
  });
  return text.slice(0, start) + parts.join("");
}

/**
 * A copy that may be shown: `writeOnly` values, values of headers and of keys that name a secret, what a secret-looking
 * variable or any file put into a text, and credentials and query values of URLs are masked.
 * `tree` is what was written, as far as it was; the rest are defaults.
 */
export function redactJson(root: Schema, value: Json, tree: Tree | undefined): Json {
  return redacted(root, [root], value, tree, "", false);
}

function redacted(root: Schema, schemas: readonly Schema[], value: Json, tree: Tree | undefined, key: string, inHeaders: boolean): Json {
  const parts = schemas.flatMap((schema) => flatten(root, schema));
  if (parts.some((schema) => schema.writeOnly === true)) return masked(value);
  if (Array.isArray(value)) {
    return value.map((item: Json, i) => redacted(root, below(parts, i), item, tree && child(tree, String(i)), key, inHeaders));
  }
  if (value !== null && typeof value === "object") {
    const headers = /(?:^|_)headers$/i.test(key);
    const out: Record<string, Json> = {};
    for (const [name, item] of Object.entries(value as Record<string, Json>)) {
      out[name] = redacted(root, below(parts, name), item, tree && child(tree, name), name, headers);
    }
    return out;
  }
  const secrets = tree?.kind === "scalar" ? tree.secrets : [];
  if (typeof value !== "string") return secrets.length > 0 ? REDACTED : value;
  const code = parts.some((schema) => schema["expression"] !== undefined || schema["template"] !== undefined);
  const known = parts.some((schema) => schema.enum !== undefined || schema.const !== undefined);
  const named = !code && !known && ((SECRET_KEY.test(key) && !HARMLESS_KEY.test(key)) || (inHeaders && !HARMLESS_HEADER.test(key)));
  return named ? masked(value) : redactText(value, secrets);
}

/** The shape stays, so that a reader sees how many values there are. */
function masked(value: Json): Json {
  if (Array.isArray(value)) return value.map(masked);
  if (value === null) return null;
  if (typeof value !== "object") return REDACTED;
  return Object.fromEntries(Object.entries(value as Record<string, Json>).map(([key, item]) => [key, masked(item)]));
}

/** True when a value may not even appear in an error message. */
export function isSecret(root: Schema, keys: readonly string[], tree: Tree): boolean {
  let schemas: Schema[] = [root];
  let at: Tree | undefined = tree;
  for (const key of keys) {
    const parts = schemas.flatMap((schema) => flatten(root, schema));
    if (parts.some((schema) => schema.writeOnly === true)) return true;
    schemas = below(parts, at?.kind === "list" ? Number(key) : key);
    at = at === undefined ? undefined : child(at, key);
  }
  if (schemas.flatMap((schema) => flatten(root, schema)).some((schema) => schema.writeOnly === true)) return true;
  const last = keys.findLast((key) => !/^\d+$/.test(key)) ?? "";
  if (SECRET_KEY.test(last) && !HARMLESS_KEY.test(last)) return true;
  if (/(?:^|_)headers$/i.test(keys.at(-2) ?? "") && !HARMLESS_HEADER.test(last)) return true;
  return at?.kind === "scalar" && at.secrets.length > 0;
}
