import type { RuleDeclaration } from "../sdk/rule.ts";
import type { RuleMemory } from "./rule_memory.ts";
import type { ActiveRule } from "./rule_set.ts";

/** Name under which a rule remembers that it has been judged, and what as. */
const KNOWN = "known";

/**
 * Knows which rules are new: those that were never judged while they could have fired. What such a rule finds at first has been
 * there before, and may be much; it is told as what it is. A rule that goes on under its name as something else is new, and
 * what it remembers as the other is forgotten.
 */
export class Freshness {
  readonly #memory: RuleMemory;
  readonly #fresh = new Set<ActiveRule>();

  constructor(memory: RuleMemory) {
    this.#memory = memory;
  }

  /** Takes the rules of a new graph. */
  configure(rules: readonly ActiveRule[]): void {
    this.#fresh.clear();
    for (const rule of rules) {
      const { type, id } = rule.declaration;
      const known = this.#memory.get(type, id, KNOWN);
      if (known === natureOf(rule.declaration)) continue;
      if (known !== undefined) this.#memory.forgetRule(type, id);
      if (rule.open.size === 0) this.#fresh.add(rule);
      else this.#remember(rule);
    }
  }

  /** All resources of some types are judged by `judge`, whatever happened to them. */
  pass(judge: () => void): void {
    for (const rule of this.#fresh) rule.fresh = true;
    judge();
    for (const rule of this.#fresh) rule.fresh = false;
  }

  /** Rules for which `isKnown` holds have been judged. */
  known(isKnown: (rule: ActiveRule) => boolean): void {
    for (const rule of this.#fresh) {
      if (!isKnown(rule)) continue;
      this.#fresh.delete(rule);
      this.#remember(rule);
    }
  }

  #remember({ declaration }: ActiveRule): void {
    this.#memory.put(declaration.type, declaration.id, KNOWN, natureOf(declaration));
  }
}

/** What makes what a rule remembers useless when it changes: its kind, and of which number it remembers values. */
function natureOf(rule: RuleDeclaration): string {
  return rule.kind === "change" ? `change ${rule.value.text}` : rule.kind;
}
