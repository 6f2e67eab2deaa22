import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate } from "node:zlib";
import { exactJson, JSON_DEPTH_MAX, nestsTooDeep } from "./json_text.ts";
import type { Json } from "./observation.ts";

/** How a body is to be read. */
export type BodyKind = "json" | "ndjson" | "form" | "text";

/** A body cannot be decoded. The message never repeats the body. */
export class BodyError extends Error {
  override name = "BodyError";
  /** `unsupported`: its type or encoding is not known; `malformed`: it is not what it claims; `too_large`: decoded. */
  readonly kind: "unsupported" | "malformed" | "too_large";
  constructor(kind: BodyError["kind"], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** What a body holds. */
export interface Decoded {
  /** One for JSON, form and text; one for each line of NDJSON that is JSON. */
  readonly values: readonly Json[];
  /** Lines of NDJSON that are no JSON. */
  readonly malformed: number;
  /** What is wrong with the first of them. */
  readonly reason: string | undefined;
}

const NDJSON = new Set([
  "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines",
]);
const UNZIP = { gzip: promisify(gunzip), "x-gzip": promisify(gunzip), deflate: promisify(inflate), br: promisify(brotliDecompress) };

/** How a body of this Content-Type is read; undefined when the type is missing or unknown. */
export function bodyKind(contentType: string | undefined): BodyKind | undefined {
  const type = mediaType(contentType);
  if (type === "application/json" || type === "text/json" || /^[a-z0-9.+-]+\/[a-z0-9.+-]*\+json$/.test(type)) return "json";
  if (NDJSON.has(type)) return "ndjson";
  if (type === "application/x-www-form-urlencoded") return "form";
  return type.startsWith("text/") ? "text" : undefined;
}

/** Undoes a Content-Encoding, to at most `bytesMax` bytes: a bomb costs no more than that. Throws `BodyError`. */
export async function decompress(bytes: Buffer, encoding: string | undefined, bytesMax: number): Promise<Buffer> {
  const name = (encoding ?? "").trim().toLowerCase();
  if (name === "" || name === "identity") return bytes;
  if (!Object.hasOwn(UNZIP, name)) throw new BodyError("unsupported", "unsupported content encoding; gzip, deflate and br are");
  try {
    return await UNZIP[name as keyof typeof UNZIP](bytes, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      throw new BodyError("too_large", `the decompressed body is larger than ${bytesMax} bytes`, { cause: error });
    }
    throw new BodyError("malformed", `the body is no valid ${name}`, { cause: error });
  }
}

/** Decodes a body of a known kind. `contentType` gives the charset of text. Throws `BodyError`. */
export function decodeBody(bytes: Buffer, kind: BodyKind, contentType?: string): Decoded {
  switch (kind) {
    case "json":
      return one(parseJson(utf8(bytes)));
    case "ndjson":
      return parseLines(utf8(bytes));
    case "form":
      return one(formOf(utf8(bytes)));
    case "text":
      return one(textOf(bytes, contentType));
  }
}

function one(value: Json): Decoded {
  return { values: [value], malformed: 0, reason: undefined };
}

function parseLines(text: string): Decoded {
  const values: Json[] = [];
  let malformed = 0;
  let reason: string | undefined;
  let line = 0;
  for (const part of text.split("\n")) {
    line++;
    if (part.trim() === "") continue;
    try {
      values.push(parseJson(part));
    } catch (error) {
      malformed++;
      reason ??= `line ${line}: ${(error as BodyError).message}`;
    }
  }
  return { values, malformed, reason };
}

function parseJson(text: string): Json {
  if (nestsTooDeep(text)) throw new BodyError("malformed", `JSON nested deeper than ${JSON_DEPTH_MAX} levels`);
  try {
    return exactJson(text, true);
  } catch (error) {
    // V8's message quotes the text, which may hold secrets: only the place is kept.
    const at = /at position (\d+)/.exec((error as Error).message)?.[1];
    const place = at === undefined ? "" : ` at position ${at}`;
    throw new BodyError("malformed", text.trim() === "" ? "empty, no JSON" : `no valid JSON${place}`);
  }
}

/** A form's fields; one given several times is a list. */
function formOf(text: string): Json {
  const fields = Object.create(null) as Record<string, Json>;
  const form = new URLSearchParams(text);
  for (const name of new Set(form.keys())) {
    const values = form.getAll(name);
    fields[name] = values.length === 1 ? values[0]! : values;
  }
  return fields;
}

function utf8(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new BodyError("malformed", "the body is no valid UTF-8", { cause: error });
  }
}

function textOf(bytes: Buffer, contentType: string | undefined): string {
  const charset = /;\s*charset\s*=\s*"?([\w.:-]{1,40})/i.exec(contentType ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch (error) {
    throw new BodyError("unsupported", "unsupported charset", { cause: error });
  }
}

function mediaType(contentType: string | undefined): string {
  return (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase();
}
