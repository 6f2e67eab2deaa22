/** A pair of `a` and `b`, or one of them alone. */
export interface Aligned<A, B> {
  readonly a?: A;
  readonly b?: B;
}

/** Comparisons for the longest common subsequence; beyond, only what begins and ends alike is paired. */
const COMPARISONS_MAX = 1_000_000;

/** Pairs what matches, in order and as many as can be; what is left stands alone, in its place. */
export function align<A, B>(as: readonly A[], bs: readonly B[], matches: (a: A, b: B) => boolean): Aligned<A, B>[] {
  let from = 0;
  while (from < as.length && from < bs.length && matches(as[from]!, bs[from]!)) from++;
  let tail = 0;
  while (tail < as.length - from && tail < bs.length - from && matches(as[as.length - 1 - tail]!, bs[bs.length - 1 - tail]!)) tail++;
  const paired = (count: number, aFrom: number, bFrom: number): Aligned<A, B>[] =>
    Array.from({ length: count }, (_, i) => ({ a: as[aFrom + i]!, b: bs[bFrom + i]! }));
  return [
    ...paired(from, 0, 0),
    ...middle(as.slice(from, as.length - tail), bs.slice(from, bs.length - tail), matches),
    ...paired(tail, as.length - tail, bs.length - tail),
  ];
}

function middle<A, B>(as: readonly A[], bs: readonly B[], matches: (a: A, b: B) => boolean): Aligned<A, B>[] {
  const out: Aligned<A, B>[] = [];
  if (as.length === 0 || bs.length === 0 || as.length * bs.length > COMPARISONS_MAX) {
    for (const a of as) out.push({ a });
    for (const b of bs) out.push({ b });
    return out;
  }
  const width = bs.length + 1;
  const equal = new Uint8Array(as.length * bs.length);
  // Longest common subsequence of what begins at (i, j).
  const longest = new Uint32Array((as.length + 1) * width);
  for (let i = as.length - 1; i >= 0; i--) {
    for (let j = bs.length - 1; j >= 0; j--) {
      const same = matches(as[i]!, bs[j]!);
      if (same) equal[i * bs.length + j] = 1;
      longest[i * width + j] = same ? longest[(i + 1) * width + j + 1]! + 1 : Math.max(longest[(i + 1) * width + j]!, longest[i * width + j + 1]!);
    }
  }
  let i = 0;
  let j = 0;
  while (i < as.length && j < bs.length) {
    if (equal[i * bs.length + j] === 1) out.push({ a: as[i++]!, b: bs[j++]! });
    else if (longest[(i + 1) * width + j]! >= longest[i * width + j + 1]!) out.push({ a: as[i++]! });
    else out.push({ b: bs[j++]! });
  }
  while (i < as.length) out.push({ a: as[i++]! });
  while (j < bs.length) out.push({ b: bs[j++]! });
  return out;
}
