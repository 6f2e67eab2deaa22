import { pino, type Logger as Pino } from "pino";
import type { Writable } from "node:stream";
import type { ServiceConfig } from "../config/model.ts";
import type { Logger } from "../sdk/log.ts";

const LEVELS: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "WARN", 50: "ERROR", 60: "FATAL" };

/** The agent's log, on standard error: standard output belongs to the console exporter. */
export interface AgentLog extends Logger {
  setLevel(level: ServiceConfig["log"]["level"]): void;
}

/** pino; JSON lines for machines, or one readable line each. */
export function createLog({ level, format }: ServiceConfig["log"], stream: Writable & { readonly isTTY?: boolean } = process.stderr): AgentLog {
  const pretty = format === "pretty" || (format === "auto" && stream.isTTY === true);
  const destination = pretty ? { write: (line: string) => stream.write(readable(line)) } : stream;
  const root: Pino<never, boolean> = pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime, ...(pretty ? {} : { formatters: { level: (label) => ({ level: label }) } }) },
    destination,
  );
  return Object.assign(wrap(root), { setLevel: (next: string) => void (root.level = next) });
}

function wrap(log: Pick<Pino, "debug" | "info" | "warn" | "error" | "child">): Logger {
  return {
    debug: (fields, message) => log.debug(fields, message),
    info: (fields, message) => log.info(fields, message),
    warn: (fields, message) => log.warn(fields, message),
    error: (fields, message) => log.error(fields, message),
    child: (fields) => wrap(log.child(fields)),
  };
}

/** `12:00:01 WARN http_poll/orders: connection refused (was=…)`. */
function readable(line: string): string {
  const { level, time, msg, component, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const more = Object.entries(fields).map(([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const who = typeof component === "string" ? `${component}: ` : "";
  const clock = String(time as string).slice(11, 19);
  return escaped(`${clock} ${LEVELS[level as number] ?? "info"} ${who}${String(msg as string)}${more.length > 0 ? ` (${more.join(", ")})` : ""}`) + "\n";
}

/** What a terminal would obey is shown instead. */
function escaped(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
