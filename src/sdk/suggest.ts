/** Edits (insert, delete, replace, swap of neighbours) from one word to the other; both short. */
function distance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min(replace, rows[i - 1]![j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}

const folded = (word: string): string => word.toLowerCase().replace(/[^a-z0-9]/g, "");

const WORDS_MAX = 1_000;
const BEGINNING_LENGTH_MIN = 4;

/** The word that was probably meant, if one is close enough, or the only one that begins so. */
export function closest(word: string, words: Iterable<string>): string | undefined {
  if (word.length > 64) return undefined;
  const beginning: string[] = [];
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  let left = WORDS_MAX;
  for (const candidate of words) {
    if (left-- === 0) break;
    if (candidate.length > 64) continue;
    if (word.length >= BEGINNING_LENGTH_MIN && candidate.startsWith(word)) beginning.push(candidate);
    const edits = folded(candidate) === folded(word) ? 0 : distance(word.toLowerCase(), candidate.toLowerCase());
    if (edits < least) [best, least] = [candidate, edits];
  }
  return best ?? (beginning.length === 1 ? beginning[0] : undefined);
}

/** `did you mean interval? (allowed: …)`, or only what is allowed; at most 30 words of it. */
export function suggestion(word: string, words: readonly string[]): string {
  if (words.length === 0) return "nothing is allowed here";
  const near = closest(word, words);
  return near === undefined ? `allowed: ${oneOf(words)}` : `did you mean ${near}? (allowed: ${oneOf(words)})`;
}

/** A list for people, cut when it is long. */
export function oneOf(words: readonly string[]): string {
  return words.length > 30 ? `${words.slice(0, 30).join(", ")} and ${words.length - 30} more` : words.join(", ");
}
