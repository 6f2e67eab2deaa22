/**
 * The first `limit` items in the order of `compare`, in that order, without sorting them all: a page of few out of very
 * many costs little more than looking at each once.
 */
export function smallest<T>(items: Iterable<T>, limit: number, compare: (a: T, b: T) => number): T[] {
  const enough = Math.max(4 * limit, 64);
  const kept: T[] = [];
  let bound: T | undefined;
  for (const item of items) {
    if (bound !== undefined && compare(item, bound) >= 0) continue;
    kept.push(item);
    if (kept.length < enough) continue;
    kept.sort(compare);
    kept.length = limit;
    bound = kept[limit - 1];
  }
  return kept.sort(compare).slice(0, limit);
}
