import { Issues } from "./issues.ts";
import type { Problem } from "./model.ts";
import { suggestion } from "../sdk/suggest.ts";
import { isNull, type Mapping, type Tree } from "./tree.ts";

const SECTIONS = ["receivers", "processors", "exporters", "monitors", "service"];
const KEYS = ["version", ...SECTIONS, "tests"];

/** What can be said of one file by itself: its top-level keys, and that its sections are maps. */
export function shapeProblems(tree: Tree): { readonly tree: Mapping | undefined; readonly problems: readonly Problem[] } {
  const issues = new Issues();
  if (tree.kind !== "map") {
    return { tree: undefined, problems: [{ place: tree.place, path: "", message: `must be a map; allowed: ${KEYS.join(", ")}` }] };
  }
  const mapped = (value: Tree, place: Problem["place"]): void => {
    if (value.kind !== "map" && !isNull(value)) issues.add({ place, path: value.path }, `must be a map, not a ${value.kind === "list" ? "list" : "text"}`);
  };
  for (const [key, { place, value }] of tree.entries) {
    if (!KEYS.includes(key)) issues.add({ place, path: value.path }, () => `is not known here; ${topHelp(key)}`);
    else if (key === "version" && (value.kind !== "scalar" || value.value !== 1)) issues.add({ place: value.place, path: "version" }, "must be 1");
    else if (key === "tests" && value.kind !== "list" && !isNull(value)) issues.add({ place, path: "tests" }, "must be a list");
    else if (SECTIONS.includes(key)) mapped(value, place);
    if (key === "service" && value.kind === "map") {
      const pipelines = value.entries.get("pipelines");
      if (pipelines !== undefined) mapped(pipelines.value, pipelines.place);
    }
  }
  return { tree, problems: issues.list };
}

function topHelp(key: string): string {
  return key === "pipelines" ? "pipelines belong under service" : suggestion(key, KEYS);
}
