import { createHash } from "node:crypto";

/**
 * The trace of one incarnation of a resource: the same from any replica and after any restart, different between
 * clusters. 32 hex digits, never all zero. https://www.w3.org/TR/trace-context/#trace-id
 */
export function traceId(externalLabels: Readonly<Record<string, string>>, type: string, id: string, incarnation: number): string {
  return nonZero(hash([sortedEntries(externalLabels), type, id, incarnation], 32));
}

/** A span of that trace: `name` and `startMs` tell it from its siblings. 16 hex digits, never all zero. */
export function spanId(trace: string, name: string, startMs: number): string {
  return nonZero(hash([trace, name, startMs], 16));
}

function hash(identity: unknown, digits: number): string {
  return createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, digits);
}

function nonZero(digits: string): string {
  return /^0+$/.test(digits) ? `${digits.slice(1)}1` : digits;
}

function sortedEntries(labels: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
}
