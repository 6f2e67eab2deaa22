import type { Alert } from "../../sdk/alert.ts";
import { matchesAll, parseMatcher, type Matcher } from "../../sdk/matchers.ts";

/** `service.inhibit_rules`, as validated. */
export interface InhibitRule {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  readonly equal: readonly string[];
}

interface Rule {
  readonly source: readonly Matcher[];
  readonly target: readonly Matcher[];
  readonly equal: readonly string[];
  /** Firing sources by key: what they have in the equal labels, and whether they are targets, too. */
  readonly sources: Map<string, { readonly equal: string; readonly isTarget: boolean }>;
  /** By what they have in the equal labels: how many sources there are, and how many of them are no targets. */
  readonly counts: Map<string, { all: number; pure: number }>;
}

/**
 * Which alerts are suppressed because another one fires. As in Alertmanager, an alert that is source and target of a rule
 * is not inhibited by others of that kind, so never by itself.
 */
export class Inhibition {
  #rules: readonly Rule[] = [];
  #fingerprint = "[]";

  /** True when the rules are others than before: then `changed` must be told of all alerts that fire. */
  configure(rules: readonly InhibitRule[]): boolean {
    const fingerprint = JSON.stringify(rules);
    if (fingerprint === this.#fingerprint) return false;
    this.#fingerprint = fingerprint;
    this.#rules = rules.map(({ source_matchers: source, target_matchers: target, equal }) => (
      { source: source.map(parseMatcher), target: target.map(parseMatcher), equal, sources: new Map(), counts: new Map() }
    ));
    return true;
  }

  /** An alert fires or is over. True when something may be suppressed no more. */
  changed(alert: Alert): boolean {
    let freed = false;
    for (const rule of this.#rules) {
      const before = rule.sources.get(alert.dedup_key);
      if (before !== undefined) {
        const count = rule.counts.get(before.equal)!;
        count.all--;
        if (!before.isTarget) count.pure--;
        if (count.all === 0) rule.counts.delete(before.equal);
        rule.sources.delete(alert.dedup_key);
        freed = true;
      }
      if (alert.status !== "firing" || !matchesAll(rule.source, alert.labels)) continue;
      const source = { equal: equalText(rule, alert), isTarget: matchesAll(rule.target, alert.labels) };
      rule.sources.set(alert.dedup_key, source);
      const count = rule.counts.get(source.equal) ?? { all: 0, pure: 0 };
      rule.counts.set(source.equal, count);
      count.all++;
      if (!source.isTarget) count.pure++;
    }
    return freed;
  }

  isInhibited(alert: Alert): boolean {
    return this.#rules.some((rule) => {
      if (rule.counts.size === 0 || !matchesAll(rule.target, alert.labels)) return false;
      const count = rule.counts.get(equalText(rule, alert));
      if (count === undefined) return false;
      return matchesAll(rule.source, alert.labels) ? count.pure > 0 : count.all > 0;
    });
  }
}

function equalText({ equal }: Rule, { labels }: Alert): string {
  return JSON.stringify(equal.map((name) => (Object.hasOwn(labels, name) ? labels[name] : "")));
}
