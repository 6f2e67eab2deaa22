import { HttpError, type HttpRequest } from "../sdk/listeners.ts";
import { shown } from "./query.ts";

const BODY_BYTES_MAX = 64 * 1_024;

/** What a member of a body must be. */
export type Member = "text" | "texts" | "optional text";

/**
 * Reads a JSON object with exactly these members. Throws `HttpError`: 415 unless it says that it is JSON (so that no form
 * of a web page can send it), 413, or 400 with what is wrong.
 */
export async function readBody<const Shape extends Readonly<Record<string, Member>>>(
  request: HttpRequest, shape: Shape,
): Promise<{ readonly [Name in keyof Shape]: Shape[Name] extends "texts" ? readonly string[] : Shape[Name] extends "text" ? string : string | undefined }> {
  const type = (request.headers["content-type"] ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type !== "application/json") throw new HttpError(415, "the body must be JSON, with content-type: application/json");
  const body = parsed((await request.bytes(BODY_BYTES_MAX)).toString("utf8"));
  const names = Object.keys(shape);
  for (const name of Object.keys(body)) {
    if (!names.includes(name)) throw new HttpError(400, `there is no ${shown(name)}; allowed: ${names.join(", ")}`);
  }
  for (const name of names) check(name, shape[name]!, Object.hasOwn(body, name) ? body[name] : undefined);
  return body as never;
}

function parsed(text: string): Record<string, unknown> {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new HttpError(400, "the body is no JSON");
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) throw new HttpError(400, "the body must be a JSON object");
  return body as Record<string, unknown>;
}

function check(name: string, member: Member, value: unknown): void {
  switch (member) {
    case "texts":
      if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) throw new HttpError(400, `${name} must be a list of texts`);
      return;
    case "text":
      if (typeof value !== "string" || value.trim() === "") throw new HttpError(400, `${name} must be a text that is not empty`);
      return;
    case "optional text":
      if (value !== undefined && typeof value !== "string") throw new HttpError(400, `${name} must be a text`);
      return;
    default:
      member satisfies never;
  }
}
