import type { Alert } from "../../sdk/alert.ts";
import { DueQueue } from "./due.ts";
import { createIncident, place, type Incident, type Ledger, type Member } from "./members.ts";
import { groupKey } from "./messages.ts";

export interface BookParts {
  readonly exporter: string;
  readonly ledger: Ledger;
  readonly externalLabels: () => Readonly<Record<string, string>>;
}

/** What one exporter knows: alerts and incidents, and when each of those is due. What changes goes to the ledger. */
export class Book {
  readonly #parts: BookParts;
  readonly members = new Map<string, Member>();
  /** Groups by labels and storms, by key. */
  readonly incidents = new Map<string, Incident>();
  /** The same, by what finds them faster than a hash. */
  readonly #byIdentity = new Map<string, Incident>();
  readonly due = new DueQueue<Incident>();

  constructor(parts: BookParts) {
    this.#parts = parts;
  }

  /** Alerts that were told and are not over for it. */
  get open(): number {
    let open = 0;
    for (const { state } of this.members.values()) if (state !== "waiting") open++;
    return open;
  }

  /** Something of this incident was told that is not over. */
  isOpen(key: string): boolean {
    return this.incidents.get(key)?.open ?? this.members.get(key)?.incident?.kind === "single";
  }

  /** The alert, if it fires as far as this exporter is to know. */
  firing(key: string): Alert | undefined {
    const member = this.members.get(key);
    return member === undefined || member.state === "ending" ? undefined : member.alert;
  }

  begin(alert: Alert, firstSync: boolean): Member {
    const member: Member = { exporter: this.#parts.exporter, key: alert.dedup_key, alert, state: "waiting", incident: undefined, firstSync, counted: false };
    this.members.set(member.key, member);
    this.#parts.ledger.put(member);
    return member;
  }

  move(member: Member, incident: Incident | undefined, state: Member["state"]): void {
    place(member, incident, state);
    this.#parts.ledger.put(member);
  }

  forget(member: Member): void {
    if (member.incident?.kind === "single") this.due.delete(member.incident);
    place(member, undefined);
    this.members.delete(member.key);
    this.#parts.ledger.remove(member);
  }

  /** An incident of this alert alone, told now. */
  single(member: Member, now: number): Incident {
    const incident = createIncident({ exporter: this.#parts.exporter, key: member.key, kind: "single", open: true, sentAt: now });
    this.move(member, incident, "told");
    return incident;
  }

  group(groupBy: readonly string[], alert: Alert): Incident {
    const labels = labelsBy(groupBy, alert);
    return this.#incident(identityOfGroup(labels), "group", JSON.stringify(labels), { labels });
  }

  /** Of all alerts of one rule for which there was no room. */
  storm(alert: Alert): Incident {
    const rule = ruleOf(alert);
    return this.#incident(identityOfStorm(rule), "storm", rule, { labels: { alertname: alert.alert }, rule });
  }

  knownStorm(alert: Alert): Incident | undefined {
    return this.#byIdentity.get(identityOfStorm(ruleOf(alert)));
  }

  /** It was told just now. */
  sent(incident: Incident, now: number): void {
    incident.open = true;
    incident.sentAt = now;
    incident.waitsSince = undefined;
    this.#parts.ledger.putIncident(incident);
    if (incident.kind === "single") for (const member of incident.members) this.#parts.ledger.put(member);
  }

  /** Something waits in it to be told. */
  waits(incident: Incident, now: number): void {
    if (incident.waitsSince !== undefined) return;
    incident.waitsSince = now;
    this.#parts.ledger.putIncident(incident);
  }

  /** It is over, and so are its members. */
  close(incident: Incident): void {
    for (const member of incident.members) this.forget(member);
    this.incidents.delete(incident.key);
    this.#byIdentity.delete(identityOf(incident));
    this.due.delete(incident);
    this.#parts.ledger.removeIncident(incident);
  }

  restore(members: readonly Member[], incidents: readonly Incident[]): void {
    for (const incident of incidents) {
      if (incident.kind === "single") continue;
      this.incidents.set(incident.key, incident);
      this.#byIdentity.set(identityOf(incident), incident);
    }
    for (const member of members) this.members.set(member.key, member);
  }

  #incident(identity: string, kind: "group" | "storm", name: string, more: Partial<Incident>): Incident {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    const { exporter, externalLabels } = this.#parts;
    const incident = createIncident({ exporter, key: groupKey(externalLabels(), kind, [name]), kind, ...more });
    this.incidents.set(incident.key, incident);
    this.#byIdentity.set(identity, incident);
    return incident;
  }
}

/** Names the rule of an alert. */
export function ruleOf({ resource, rule }: Alert): string {
  return `${resource.type}\n${rule}`;
}

/** Names the group of an alert. */
export function groupOf(groupBy: readonly string[], alert: Alert): string {
  return identityOfGroup(labelsBy(groupBy, alert));
}

function labelsBy(groupBy: readonly string[], { labels }: Alert): Record<string, string> {
  return Object.fromEntries(groupBy.toSorted().map((name) => [name, Object.hasOwn(labels, name) ? labels[name]! : ""]));
}

function identityOfGroup(labels: Readonly<Record<string, string>>): string {
  return `group\n${JSON.stringify(labels)}`;
}

function identityOfStorm(rule: string): string {
  return `storm\n${rule}`;
}

function identityOf({ kind, labels, rule }: Incident): string {
  return kind === "storm" ? identityOfStorm(rule) : identityOfGroup(labels);
}
