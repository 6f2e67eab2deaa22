import { constants, closeSync, fstatSync, openSync, readSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FILE_BYTES_MAX } from "./yaml.ts";

/** Content of one file, or why there is none. */
export interface ReadFile {
  readonly file: string;
  readonly bytes: Uint8Array | undefined;
  readonly error: string | undefined;
}

/** What one `--config` holds. */
export interface ReadSource {
  readonly source: string;
  /** Undefined: it cannot be read at all, so nobody knows. */
  readonly directory: boolean | undefined;
  readonly error: string | undefined;
  /** In the order of their names. */
  readonly files: readonly ReadFile[];
}

const FILES_MAX = 1_000;
const INTERPOLATED_BYTES_MAX = 64 * 1024;
// A FIFO must not block: opened so, it is seen for what it is.
const READ_ONLY = constants.O_RDONLY | constants.O_NONBLOCK;

/**
 * Reads a file, or every `*.yaml` and `*.yml` of a directory (symlinks followed, hidden entries skipped). Never rejects.
 * In the place of a file in `replaced` that one is read; where it has none, the file counts as gone.
 */
export async function readSource(source: string, replaced: ReadonlyMap<string, string | undefined> = new Map()): Promise<ReadSource> {
  const gone = (file: string): boolean => replaced.has(file) && replaced.get(file) === undefined;
  try {
    if (gone(source)) throw Object.assign(new Error("gone"), { code: "ENOENT" });
    if (!(await stat(source)).isDirectory()) return { source, directory: false, error: undefined, files: [await readConfigFile(source, replaced.get(source))] };
    const names = (await readdir(source)).filter((name) => !name.startsWith(".") && /\.ya?ml$/.test(name)).toSorted();
    if (names.length > FILES_MAX) return { source, directory: true, error: `holds more than ${FILES_MAX} YAML files`, files: [] };
    const files: ReadFile[] = [];
    for (const name of names) {
      const file = join(source, name);
      const isDirectory = await stat(file).then((found) => found.isDirectory(), () => false);
      if (!isDirectory && !gone(file)) files.push(await readConfigFile(file, replaced.get(file)));
    }
    return { source, directory: true, error: undefined, files };
  } catch (error) {
    return { source, directory: undefined, error: `cannot be read: ${reasonOf(error)}`, files: [] };
  }
}

async function readConfigFile(file: string, path = file): Promise<ReadFile> {
  try {
    const handle = await open(path, READ_ONLY);
    try {
      const found = await handle.stat();
      if (!found.isFile()) return { file, bytes: undefined, error: "is not a regular file" };
      if (found.size > FILE_BYTES_MAX) return { file, bytes: undefined, error: "is larger than 1 MiB; split it" };
      const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
      let length = 0;
      for (;;) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
        length += bytesRead;
        if (bytesRead === 0 || length === buffer.length) break;
      }
      return { file, bytes: Buffer.from(buffer.subarray(0, length)), error: undefined };
    } finally {
      await handle.close();
    }
  } catch (error) {
    return { file, bytes: undefined, error: `cannot be read: ${reasonOf(error)}` };
  }
}

/** Content of `${file:path}`, without the line end it closes with. Throws with a message for people. */
export function readInterpolated(path: string, from: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(resolve(dirname(from), path), READ_ONLY);
  } catch (error) {
    throw new Error(`cannot be read: ${reasonOf(error)}`, { cause: error });
  }
  try {
    if (!fstatSync(descriptor).isFile()) throw new Error("is not a regular file");
    const buffer = Buffer.alloc(INTERPOLATED_BYTES_MAX + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = readSync(descriptor, buffer, length, buffer.length - length, length);
    }
    if (length > INTERPOLATED_BYTES_MAX) throw new Error("is larger than 64 KiB");
    const bytes = buffer.subarray(0, length);
    if (bytes.includes(0)) throw new Error("holds a NUL character");
    return decodeUtf8(bytes).replace(/\r?\n$/, "");
  } finally {
    closeSync(descriptor);
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new Error("is not UTF-8", { cause: error });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "permission denied",
  EISDIR: "it is a directory",
  ENOTDIR: "a part of its path is no directory",
  ELOOP: "its symbolic links go in a circle",
  ENXIO: "it is no regular file",
};

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  return typeof code === "string" ? (REASONS[code] ?? code) : "unknown error";
}
