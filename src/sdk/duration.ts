const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;

/** Milliseconds of a duration such as `30m`, `1h30m`, `7d`, `1.5s`; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (text === "0") return 0;
  if (text.length > 64 || !DURATION.test(text)) return undefined;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) total += Number(amount) * UNITS_MS[unit!]!;
  return Number.isSafeInteger(Math.round(total)) ? Math.round(total) : undefined;
}

/** Milliseconds of a duration that was validated when the configuration was loaded. */
export function durationMs(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new Error(`"${text}" is not a duration such as 30m, 1h30m or 7d`);
  return ms;
}

/** A duration as people write it: `31m`, `1h30m`, `2d4h`; at most two units. */
export function formatDuration(ms: number): string {
  let left = Math.max(0, Math.round(ms));
  if (left < 1_000) return `${left}ms`;
  left = Math.floor(left / 1_000) * 1_000;
  const parts: string[] = [];
  for (const unit of ["d", "h", "m", "s"]) {
    const count = Math.floor(left / UNITS_MS[unit]!);
    if (count > 0) parts.push(`${count}${unit}`);
    else if (parts.length > 0) break;
    left -= count * UNITS_MS[unit]!;
    if (parts.length === 2) break;
  }
  return parts.join("");
}
