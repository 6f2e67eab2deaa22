import type { Problem } from "./model.ts";
import { mappingAt, mergeTrees, type Mapping, type Tree } from "./tree.ts";
import { parseText } from "./yaml.ts";

/** The name that places of `--set` have for a file. */
export const SET_FILE = "--set";

/** `--set a.b=v` as a tree: the value is YAML; a dot that belongs to a key is written `\.`. Line n is the nth `--set`. */
export function setTree(assignments: readonly string[], problems: Problem[]): Mapping {
  let tree: Tree = mappingAt([], { place: { file: SET_FILE, line: 1, column: 1 }, path: "" });
  for (const [i, assignment] of assignments.entries()) {
    const place = { file: SET_FILE, line: i + 1, column: 1 };
    const equals = assignment.indexOf("=");
    const keys = equals === -1 ? [] : assignment.slice(0, equals).split(/(?<!\\)\./).map((key) => key.replaceAll("\\.", "."));
    if (keys.length === 0 || keys.length > 64 || keys.includes("") || keys.includes("__proto__")) {
      problems.push({ place, path: "", message: "must have the form key.key=value" });
      continue;
    }
    const parsed = parseText(assignment.slice(equals + 1), SET_FILE);
    if ("problems" in parsed) {
      problems.push(...parsed.problems.map((problem) => ({ place, path: keys.join("."), message: problem.message })));
      continue;
    }
    let value = relocated(parsed.tree, place, keys.join("."));
    for (let depth = keys.length - 1; depth >= 0; depth--) {
      value = mappingAt([[keys[depth]!, { place, value }]], { place, path: keys.slice(0, depth).join(".") });
    }
    tree = mergeTrees(tree, value);
  }
  return tree as Mapping;
}

function relocated(tree: Tree, place: Tree["place"], path: string): Tree {
  // `a.b=` sets an empty text, which is what a shell user means.
  if (tree.kind === "map" && tree.entries.size === 0 && tree.path === "" && tree.place.line === 1) return { ...tree, place, path };
  if (tree.kind === "scalar") return { ...tree, place, path, starts: undefined };
  if (tree.kind === "list") return { ...tree, place, path, items: tree.items.map((item, i) => relocated(item, place, `${path}[${i}]`)) };
  const entries = [...tree.entries].map(([key, entry]) => [key, { place, value: relocated(entry.value, place, `${path}.${key}`) }] as const);
  return mappingAt(entries, { place, path });
}
