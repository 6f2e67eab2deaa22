import type { AnyDefinition } from "../sdk/component.ts";
import type { ComponentKind } from "./model.ts";
import { suggestion } from "../sdk/suggest.ts";
import { idError, typeOf } from "./uses.ts";

/** Says that `id` is not defined, and what was probably meant. */
export function describeMissing(
  definitions: readonly AnyDefinition[],
  components: ReadonlyMap<string, { readonly kind: ComponentKind; readonly id: string }>,
  kind: ComponentKind,
  id: string,
): string {
  const bad = idError(id);
  if (bad !== undefined) return `"${id.slice(0, 100)}" ${bad}`;
  const said = `references ${kind} ${id} which is not defined`;
  const type = typeOf(id);
  const kinds = definitions.filter((d) => d.type === type).map((d) => d.kind);
  if (kinds.length > 0 && !kinds.includes(kind)) {
    return `${said}; ${type} is ${kinds.map((other) => `${other === "exporter" ? "an" : "a"} ${other}`).join(" or ")}`;
  }
  const ids = [...components.values()].filter((made) => made.kind === kind && !made.id.includes("#")).map((made) => made.id);
  return ids.length === 0 ? `${said}; define it under ${kind}s` : `${said}; ${suggestion(id, ids)}`;
}
