import type { Alert } from "../../sdk/alert.ts";
import { ruleOf } from "./book.ts";
import type { Message } from "./lane.ts";
import type { Member } from "./members.ts";
import { groupKey, groupMessage, singleMessage } from "./messages.ts";
import type { Outbox } from "./outbox.ts";

interface LateParts {
  readonly exporter: string;
  readonly outbox: Outbox;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly onCoalesced: (exporter: string, count: number) => void;
}

/** Alerts that are over, each an incident of its own, for which there was no room: those of one rule share a message. */
export class LateEnds {
  readonly #byRule = new Map<string, Set<Member>>();

  get size(): number {
    return this.#byRule.size;
  }

  add(member: Member): void {
    const rule = ruleOf(member.alert);
    const late = this.#byRule.get(rule);
    if (late === undefined) this.#byRule.set(rule, new Set([member]));
    else late.add(member);
  }

  forget(member: Member): void {
    const rule = ruleOf(member.alert);
    const late = this.#byRule.get(rule);
    if (late?.delete(member) === true && late.size === 0) this.#byRule.delete(rule);
  }

  /** Tells as many as there is room for; each of them is forgotten. */
  tell({ outbox, exporter, externalLabels, onCoalesced }: LateParts, forget: (member: Member) => void): void {
    while (this.size > 0 && (outbox.queued(exporter) === 0 || outbox.room(exporter) > 0)) {
      const { message, members } = this.#take(externalLabels())!;
      outbox.enqueue(exporter, message);
      if (members.length > 1) onCoalesced(exporter, members.length - 1);
      for (const member of members) forget(member);
    }
  }

  /** A message, and whom it is about; undefined when there is none. */
  #take(externalLabels: Readonly<Record<string, string>>): { readonly message: Message; readonly members: readonly Member[] } | undefined {
    const [first] = this.#byRule;
    if (first === undefined) return undefined;
    const [rule, late] = first;
    this.#byRule.delete(rule);
    const members = [...late];
    const alerts: readonly Alert[] = members.map(({ alert }) => alert);
    const alone = alerts.length === 1;
    return { message: alone ? singleMessage(alerts[0]!) : groupMessage(groupKey(externalLabels, "ended", [rule]), { alertname: alerts[0]!.alert }, "resolved", [], alerts), members };
  }
}
