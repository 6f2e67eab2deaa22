import { isAscii, isUtf8 } from "node:buffer";

const NEWLINE = 10;
const RETURN = 13;

export interface LineOptions {
  /** Longer lines are cut, at a character's boundary. */
  readonly lineBytesMax: number;
  /** True when the receiver of lines needs to know at which byte each starts. */
  readonly needStart: boolean;
}

/** Text without newline or `\r`; its first byte's index in the buffer (with `needStart`). False: no more, please. */
export type OnLine = (text: string, start: number, truncated: boolean, invalid: boolean) => boolean;

/**
 * Hands on the lines of `buffer[from, to)`, which ends in a newline. Returns where it stopped: `to`, or the start of the
 * next line when the taker had enough. Valid text is decoded whole and sliced: a decode per line costs more than the rest.
 */
export function eachLine(buffer: Buffer, from: number, to: number, options: LineOptions, onLine: OnLine): number {
  const block = buffer.subarray(from, to);
  const ascii = isAscii(block);
  if (!ascii && (options.needStart || to - from > options.lineBytesMax || !isUtf8(block))) {
    return eachLineOfBytes(buffer, from, to, options.lineBytesMax, onLine);
  }
  const text = ascii ? buffer.toString("latin1", from, to) : buffer.toString("utf8", from, to);
  let count = 0;
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start);
    const end = newline > start && text.charCodeAt(newline - 1) === RETURN ? newline - 1 : newline;
    const truncated = end - start > options.lineBytesMax;
    const line = text.slice(start, truncated ? start + options.lineBytesMax : end);
    count++;
    if (!onLine(line, from + start, truncated, false)) return ascii ? from + newline + 1 : afterNewlines(buffer, from, count);
    start = newline + 1;
  }
  return to;
}

function eachLineOfBytes(buffer: Buffer, from: number, to: number, lineBytesMax: number, onLine: OnLine): number {
  for (let start = from; start < to; ) {
    const newline = buffer.indexOf(NEWLINE, start);
    const end = newline > start && buffer[newline - 1] === RETURN ? newline - 1 : newline;
    const truncated = end - start > lineBytesMax;
    const cut = truncated ? cutAt(buffer, start, start + lineBytesMax) : end;
    const invalid = !isUtf8(buffer.subarray(start, cut));
    if (!onLine(buffer.toString("utf8", start, cut), start, truncated, invalid)) return newline + 1;
    start = newline + 1;
  }
  return to;
}

/** The head of a line that is too long, `lineBytesMax` bytes of it at most. */
export function headOf(buffer: Buffer, lineBytesMax: number): { text: string; invalid: boolean } {
  const cut = cutAt(buffer, 0, Math.min(lineBytesMax, buffer.length));
  return { text: buffer.toString("utf8", 0, cut), invalid: !isUtf8(buffer.subarray(0, cut)) };
}

/** `end`, or up to three bytes before, so that no character is cut in two. */
function cutAt(buffer: Buffer, start: number, end: number): number {
  let cut = end;
  while (cut > start && cut > end - 4 && (buffer[cut]! & 0xc0) === 0x80) cut--;
  return cut;
}

function afterNewlines(buffer: Buffer, from: number, count: number): number {
  let at = from;
  for (let i = 0; i < count; i++) at = buffer.indexOf(NEWLINE, at) + 1;
  return at;
}
