import { groupOf, ruleOf } from "./book.ts";
import type { Member } from "./members.ts";

/**
 * What a new source brought at once is told in one message for each rule, unless it is but one, or one group anyway.
 * From here on it is like any other.
 */
export function firstSyncs(members: readonly Member[], groupBy: readonly string[] | undefined): { readonly alone: Member[]; readonly shared: Member[] } {
  const alone: Member[] = [];
  const shared: Member[] = [];
  const firsts = new Map<string, Member[]>();
  for (const member of members) {
    if (!member.firstSync) {
      alone.push(member);
      continue;
    }
    member.firstSync = false;
    const rule = ruleOf(member.alert);
    const others = firsts.get(rule);
    if (others === undefined) firsts.set(rule, [member]);
    else others.push(member);
  }
  for (const ofRule of firsts.values()) {
    const shares = ofRule.length > 1 && (groupBy === undefined || new Set(ofRule.map(({ alert }) => groupOf(groupBy, alert))).size > 1);
    for (const member of ofRule) (shares ? shared : alone).push(member);
  }
  return { alone, shared };
}
