import { readFile } from "node:fs/promises";
import { PermanentError } from "./errors.ts";

const SECRET_CHARS_MAX = 65_536;

/** The secret that a file holds, on one line. Rejects with the path, never the content, of a file that is no secret. */
export async function secretIn(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, "utf8")).trim();
  } catch (error) {
    throw new Error("the secret's file cannot be read", { cause: error });
  }
  if (text === "") throw new PermanentError(`${path} is empty; it must hold the secret`);
  if (text.length > SECRET_CHARS_MAX || /[\r\n\0]/.test(text)) throw new PermanentError(`${path} holds more than a secret on one line`);
  return text;
}
