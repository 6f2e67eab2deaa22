/** How a container runtime writes a line: `auto` looks at each. */
export type ContainerFormat = "auto" | "cri" | "docker";

/** What a runtime's line holds. */
export interface ContainerLine {
  readonly text: string;
  /** `stdout` or `stderr`. */
  readonly stream: string;
  /** In ms; undefined when it cannot be read. */
  readonly time: number | undefined;
  /** True when the application's line goes on in the next of the same stream. */
  readonly partial: boolean;
}

/**
 * Reads one line of a container's log; undefined when it is none of the format.
 * CRI: `2016-10-06T00:17:09.669794202Z stdout P text`, the tag `P` (partial) or `F` (full), further tags after a colon.
 * https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
 * Docker's json-file: `{"log":"text\n","stream":"stdout","time":"…"}`, partial when `log` does not end in a newline.
 */
export function readContainerLine(line: string, format: ContainerFormat): ContainerLine | undefined {
  if (format === "docker" || (format === "auto" && line.startsWith("{"))) return readDocker(line);
  return readCri(line);
}

function readCri(line: string): ContainerLine | undefined {
  const afterTime = line.indexOf(" ");
  const stream = afterTime > 0 ? streamAt(line, afterTime + 1) : undefined;
  if (stream === undefined) return undefined;
  const tagAt = afterTime + 2 + stream.length;
  const tag = line[tagAt];
  if (tag !== "P" && tag !== "F") return undefined;
  const space = line.indexOf(" ", tagAt);
  const tagEnd = space < 0 ? line.length : space;
  if (tagEnd > tagAt + 1 && line[tagAt + 1] !== ":") return undefined;
  const text = withoutReturn(line.slice(tagEnd + 1));
  return { text, stream, time: timeOf(line.slice(0, afterTime)), partial: tag === "P" };
}

function streamAt(line: string, at: number): string | undefined {
  if (line.startsWith("stdout ", at)) return "stdout";
  return line.startsWith("stderr ", at) ? "stderr" : undefined;
}

function readDocker(line: string): ContainerLine | undefined {
  let value: { log?: unknown; stream?: unknown; time?: unknown } | null;
  try {
    value = JSON.parse(line) as typeof value;
  } catch {
    return undefined;
  }
  if (value === null || typeof value !== "object" || typeof value.log !== "string") return undefined;
  const stream = value.stream === "stderr" ? "stderr" : "stdout";
  const partial = !value.log.endsWith("\n");
  const text = partial ? value.log : withoutReturn(value.log.slice(0, -1));
  return { text, stream, time: timeOf(value.time), partial };
}

function withoutReturn(text: string): string {
  return text.endsWith("\r") ? text.slice(0, -1) : text;
}

function timeOf(text: unknown): number | undefined {
  const time = typeof text === "string" && text.length <= 64 ? Date.parse(text) : NaN;
  return Number.isNaN(time) ? undefined : time;
}
