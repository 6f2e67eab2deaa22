import type { FileHandle } from "node:fs/promises";
import { checkHeader, growHeader, readHeader, save, type TailedFile } from "./file.ts";
import { eachLine, headOf, type OnLine } from "./lines.ts";
import { HEADER_BYTES } from "./position.ts";

/** Bytes read at once. Between 128 KiB and 4 MiB it makes no difference. */
const CHUNK_BYTES = 256 * 1_024;
/** Bytes decoded at once: V8 makes longer strings at three times the price. */
const BLOCK_BYTES = 64 * 1_024;
/** Bytes before the cursor that are remembered. */
const TAIL_BYTES = 64;
const NEWLINE = 10;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export interface ReaderParts {
  readonly lineBytesMax: number;
  /** True when lines are assembled: their offsets matter. */
  readonly needStart: boolean;
  /** Takes one line; false when it is time to let the batch go. */
  line(file: TailedFile, text: string, start: number, truncated: boolean): boolean;
  /** The batch is full: returns once there is room again. False when stopping. */
  full(): Promise<boolean>;
  /** The content that was read is gone: the file begins again. */
  truncated(file: TailedFile): Promise<void>;
  invalid(): void;
}

export interface Reader {
  /** Reads one chunk; `file.work` says whether there may be more. */
  step(file: TailedFile): Promise<void>;
  /** Hands on the last line although no newline ends it. */
  unterminated(file: TailedFile): Promise<void>;
}

/** Reads files by chunks into one buffer: one `step` at a time. */
export function createReader(parts: ReaderParts): Reader {
  const { lineBytesMax, needStart } = parts;
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);

  /** Hands on the whole lines of what was read at `at`; the rest stays unread. False when stopping. */
  async function take(file: TailedFile, buffer: Buffer, at: number): Promise<boolean> {
    const end = buffer.lastIndexOf(NEWLINE) + 1;
    const onLine: OnLine = (text, start, truncated, invalid) => {
      if (invalid) parts.invalid();
      return parts.line(file, text, at + start, truncated);
    };
    let from = at === 0 && buffer.subarray(0, BOM.length).equals(BOM) ? BOM.length : 0;
    for (let full = false; from < end; ) {
      if (full && !(await parts.full())) return false;
      const to = endOfBlock(buffer, from, end);
      from = eachLine(buffer, from, to, { lineBytesMax, needStart }, onLine);
      full = from < to;
      file.cursor = at + from;
      file.tail = Buffer.from(buffer.subarray(Math.max(0, from - TAIL_BYTES), from));
      save(file);
    }
    if (end === 0 && buffer.length > lineBytesMax) {
      const { text, invalid } = headOf(buffer, lineBytesMax);
      if (invalid) parts.invalid();
      file.overlong = { text, scan: at + buffer.length };
    }
    return true;
  }

  function endOfBlock(buffer: Buffer, from: number, end: number): number {
    if (end - from <= BLOCK_BYTES) return end;
    const newline = buffer.lastIndexOf(NEWLINE, from + BLOCK_BYTES - 1);
    return (newline >= from ? newline : buffer.indexOf(NEWLINE, from)) + 1;
  }

  /** Looks for the end of a line of which only the head is kept. */
  function skip(file: TailedFile, buffer: Buffer, at: number): void {
    const newline = buffer.indexOf(NEWLINE);
    file.overlong!.scan = at + buffer.length;
    if (newline < 0) return;
    parts.line(file, file.overlong!.text, file.cursor, true);
    file.overlong = undefined;
    file.cursor = at + newline + 1;
    file.tail = Buffer.alloc(0);
    save(file);
  }

  async function read(file: TailedFile, handle: FileHandle, at: number): Promise<{ bytes: Buffer; more: boolean }> {
    let buffer = chunk;
    let { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === buffer.length && file.overlong === undefined && !buffer.includes(NEWLINE)) {
      buffer = Buffer.allocUnsafeSlow(lineBytesMax + CHUNK_BYTES);
      ({ bytesRead } = await handle.read(buffer, 0, buffer.length, at));
    }
    return { bytes: buffer.subarray(0, bytesRead), more: bytesRead === buffer.length };
  }

  /** After a truncation: true when these bytes stand there now, so that they will be read again from the beginning. */
  async function isNew(handle: FileHandle, bytes: Buffer, at: number): Promise<boolean> {
    const again = Buffer.alloc(bytes.length);
    const { bytesRead } = await handle.read(again, 0, again.length, at);
    return bytesRead === bytes.length && again.equals(bytes);
  }

  return {
    async step(file) {
      const handle = file.handle!;
      const at = file.overlong?.scan ?? file.cursor;
      const { bytes, more } = await read(file, handle, at);
      // The header is that of the chunk, or read after it: had the file been truncated before, it would have changed.
      const same = checkHeader(file, at === 0 ? bytes.subarray(0, HEADER_BYTES) : await readHeader(handle));
      const shrunk = at + bytes.length < file.seen;
      if (!same || shrunk) {
        // Truncated between the two reads: what was read is the end of the old content, and its only copy.
        if (!shrunk && at > 0 && bytes.length > 0 && !(await isNew(handle, bytes, at))) {
          growHeader(file, bytes, at);
          if (file.overlong !== undefined) skip(file, bytes, at);
          else if (!(await take(file, bytes, at))) return;
        }
        await parts.truncated(file);
        return;
      }
      file.seen = at + bytes.length;
      file.size = Math.max(file.size, file.seen);
      if (file.overlong !== undefined) {
        skip(file, bytes, at);
        file.work = more || file.overlong === undefined;
      } else {
        const whole = await take(file, bytes, at);
        file.work = more || !whole;
      }
    },
    async unterminated(file) {
      let text = file.overlong?.text;
      if (text === undefined) {
        const bytes = Buffer.alloc(file.seen - file.cursor);
        const { bytesRead } = await file.handle!.read(bytes, 0, bytes.length, file.cursor);
        const head = headOf(bytes.subarray(0, bytesRead), lineBytesMax);
        if (head.invalid) parts.invalid();
        text = head.text.replace(/\r$/, "");
      }
      const truncated = file.overlong !== undefined;
      file.overlong = undefined;
      const start = file.cursor;
      file.cursor = file.seen;
      file.tail = Buffer.alloc(0);
      parts.line(file, text, start, truncated);
      save(file);
    },
  };
}
