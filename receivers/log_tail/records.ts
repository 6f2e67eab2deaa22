import type { RE2JS } from "re2js";
import { readContainerLine, type ContainerFormat } from "./container.ts";

/** What becomes one observation: a line, or several joined. `time` in ms when the line itself tells it. */
export interface LogRecord {
  readonly text: string;
  readonly truncated: boolean;
  /** `stdout` or `stderr` of a container; empty when there is none. */
  readonly stream: string;
  readonly time: number | undefined;
}

export interface RecordOptions {
  readonly container: ContainerFormat | undefined;
  readonly multiline: { readonly start: RE2JS | undefined; readonly end: RE2JS | undefined; readonly linesMax: number } | undefined;
  /** Length at which a record is cut. */
  readonly lengthMax: number;
}

/** Assembles the records of one file out of its lines, one container stream apart from the other. */
export interface Assembler {
  /** A line and the offset it starts at. */
  push(line: string, start: number, truncated: boolean): void;
  /** Ends the records that wait for more lines. With `partials` also the container lines that wait for their rest. */
  flush(partials: boolean): void;
  /** True while a record waits for more lines. */
  readonly waiting: boolean;
  /** From where to read again to get all that is unfinished, when reading itself has reached `cursor`. */
  position(cursor: number): { readonly offset: number; readonly ahead: { readonly [stream: string]: number } | undefined };
}

/** Text in the making. `start` is the offset of its first line; -1 while there is none. */
interface Text {
  start: number;
  parts: string[];
  length: number;
  lines: number;
  truncated: boolean;
  time: number | undefined;
}

const emptyText = (): Text => ({ start: -1, parts: [], length: 0, lines: 0, truncated: false, time: undefined });

/** `separator`: the length of what will stand between the parts. */
function add(to: Text, part: string, separator: number, lengthMax: number): void {
  const room = lengthMax - to.length - (to.lines++ > 0 ? separator : 0);
  if (part.length > room) to.truncated = true;
  if (room < 0) return;
  to.parts.push(part.length > room ? part.slice(0, room) : part);
  to.length = lengthMax - room + Math.min(part.length, room);
}

/** `ahead`: what a former run committed beyond the offset that reading starts at. */
export function createAssembler(
  options: RecordOptions,
  ahead: { readonly [stream: string]: number } | undefined,
  take: (record: LogRecord) => void,
): Assembler {
  const { container, multiline, lengthMax } = options;
  const streams = new Map<string, { readonly partial: Text; readonly record: Text; readonly committed: number }>();

  function streamOf(name: string) {
    let stream = streams.get(name);
    if (stream === undefined) {
      const committed = ahead !== undefined && Object.hasOwn(ahead, name) ? ahead[name]! : 0;
      streams.set(name, (stream = { partial: emptyText(), record: emptyText(), committed }));
    }
    return stream;
  }

  function finish(text: Text, stream: string, separator: string): void {
    take({ text: text.parts.join(separator), truncated: text.truncated, stream, time: text.time });
    Object.assign(text, emptyText());
  }

  /** A whole line, of whichever stream. */
  function line(text: string, start: number, truncated: boolean, stream: string, time: number | undefined): void {
    if (multiline === undefined) {
      if (text !== "") take({ text, truncated, stream, time });
      return;
    }
    const { record } = streamOf(stream);
    if (record.start >= 0 && multiline.start?.test(text)) finish(record, stream, "\n");
    if (record.start < 0) {
      if (text === "") return;
      Object.assign(record, { start, time });
    }
    add(record, text, 1, lengthMax);
    record.truncated ||= truncated;
    if (multiline.end?.test(text) || record.lines >= multiline.linesMax) finish(record, stream, "\n");
  }

  return {
    push(text, start, truncated) {
      const read = container === undefined ? undefined : readContainerLine(text, container);
      const { partial, committed } = streamOf(read?.stream ?? "");
      if (start < committed) return;
      // Whatever is no container's line goes on as it is: it would be worse not to see it.
      if (read === undefined) return line(text, start, truncated, "", undefined);
      if (partial.start < 0 && !read.partial) return line(read.text, start, truncated, read.stream, read.time);
      if (partial.start < 0) Object.assign(partial, { start, time: read.time });
      add(partial, read.text, 0, lengthMax);
      partial.truncated ||= truncated;
      if (read.partial) return;
      const whole = { ...partial };
      Object.assign(partial, emptyText());
      line(whole.parts.join(""), whole.start, whole.truncated, read.stream, whole.time);
    },
    flush(partials) {
      for (const [name, { partial, record }] of streams) {
        if (partials && partial.start >= 0) {
          const whole = { ...partial };
          Object.assign(partial, emptyText());
          line(whole.parts.join(""), whole.start, whole.truncated, name, whole.time);
        }
        if (record.start >= 0) finish(record, name, "\n");
      }
    },
    get waiting() {
      for (const { record } of streams.values()) if (record.start >= 0) return true;
      return false;
    },
    position(cursor) {
      let offset = cursor;
      for (const stream of streams.values()) offset = Math.min(offset, unfinished(stream) ?? cursor);
      let beyond: Record<string, number> | undefined;
      for (const [name, stream] of streams) {
        const reached = Math.max(stream.committed, unfinished(stream) ?? cursor);
        if (reached > offset) (beyond ??= {})[name] = reached;
      }
      // A stream of which no line was met yet since the start is still ahead.
      for (const [name, reached] of Object.entries(ahead ?? {})) {
        if (!streams.has(name) && reached > offset) (beyond ??= {})[name] = reached;
      }
      return { offset, ahead: beyond };
    },
  };
}

function unfinished(stream: { readonly partial: Text; readonly record: Text }): number | undefined {
  if (stream.record.start >= 0) return stream.record.start;
  return stream.partial.start >= 0 ? stream.partial.start : undefined;
}
