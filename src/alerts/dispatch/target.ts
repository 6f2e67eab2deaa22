import type { Alert } from "../../sdk/alert.ts";
import { matchesAll } from "../../sdk/matchers.ts";
import { DueQueue } from "./due.ts";
import { createIncident, place, type Incident, type Ledger, type Member } from "./members.ts";
import { groupKey, groupMessage, singleMessage } from "./messages.ts";
import { DEFAULT_POLICY, type Policy } from "./policy.ts";
import { Refresher, type RefresherParts } from "./refresher.ts";
import type { Reason, Suppression } from "./suppression.ts";

/** A storm's group is told of anew at most this often, and draws in what fires this long after room ran out. */
const STORM_INTERVAL_MS = 60_000;
/** Groups that may wait for room; beyond, their alerts share messages by rule. */
const BLOCKED_GROUPS_MAX = 20;
const REPEAT_MS_MIN = 1_000;
/** A repetition that is suppressed is looked at again after this. */
const REPEAT_LATER_MS = 5 * 60_000;

export interface TargetParts extends RefresherParts {
  readonly ledger: Ledger;
  readonly suppression: Suppression;
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly onSuppressed: (exporter: string, reason: Reason) => void;
  /** So many alerts shared a message for want of room. */
  readonly onCoalesced: (exporter: string, count: number) => void;
}

/**
 * What one exporter has been told, is to be told, and when. Nothing here is lost by a crash: what is decided goes to the
 * outbox, and what is not to the ledger, with the commit of the change that it is about.
 */
export class Target {
  readonly #parts: TargetParts;
  readonly #refresher: Refresher;
  readonly members = new Map<string, Member>();
  /** Groups by labels and storms, by key. */
  readonly #incidents = new Map<string, Incident>();
  /** The same, by what finds them faster than a hash. */
  readonly #byIdentity = new Map<string, Incident>();
  readonly #due = new DueQueue<Incident>();
  /** To be looked at with the next work. */
  readonly #fresh = new Set<Member>();
  readonly #suppressed = new Set<Member>();
  #suppressedEpoch = 0;
  #suppressedNextMs = Infinity;
  /** Due, and there was no room. */
  readonly #blocked = new Set<Incident>();
  /** Over, each an incident of its own, and there was no room; by rule. */
  readonly #late = new Map<string, Set<Member>>();
  #policy: Policy | undefined;
  #connected = false;
  /** Groups may have lost all that waited in them. */
  #regrouped = false;

  constructor(parts: TargetParts) {
    this.#parts = parts;
    this.#refresher = new Refresher(parts);
  }

  /** Waits for room: something leaving the outbox is reason to work. */
  get waitsForRoom(): boolean {
    return this.#blocked.size > 0 || this.#late.size > 0 || (this.#policy?.refreshes !== undefined && this.#fresh.size > 0);
  }

  /** When there is something to do although nothing changes; ms. */
  get nextMs(): number {
    const refresh = this.#policy?.refreshes !== undefined && this.#connected && (this.members.size > 0 || this.#refresher.hasRecent) ? this.#refresher.nextMs : Infinity;
    return Math.min(this.#due.nextMs, this.#suppressed.size > 0 ? this.#suppressedNextMs : Infinity, refresh);
  }

  /** Alerts that were told and are not over for it. */
  get open(): number {
    let open = 0;
    for (const { state } of this.members.values()) if (state !== "waiting") open++;
    return open;
  }

  /** Something of this incident was told that is not over. */
  isOpen(key: string): boolean {
    return this.#incidents.get(key)?.open ?? this.members.get(key)?.incident?.kind === "single";
  }

  /** Undefined: it does not run now. */
  connect(policy: Policy | undefined): void {
    this.#connected = policy !== undefined;
    if (policy === undefined) return;
    const changed = policy.fingerprint !== this.#policy?.fingerprint;
    this.#policy = policy;
    this.#refresher.nextMs = 0;
    if (!changed) return;
    // What waits is decided on anew; a group keeps how long it has waited.
    for (const member of this.members.values()) {
      if (member.state !== "waiting" || member.incident?.kind === "storm") continue;
      place(member, undefined);
      this.#parts.ledger.put(member);
      this.#suppressed.delete(member);
      this.#fresh.add(member);
    }
    this.#regrouped = true;
    for (const member of this.members.values()) {
      const { incident } = member;
      if (incident === undefined) continue;
      this.#planRepeat(incident);
      this.#schedule(incident);
    }
  }

  changed(alert: Alert, firstSync: boolean, now: number): void {
    const member = this.members.get(alert.dedup_key);
    if (alert.status === "firing") {
      if (member === undefined) return this.#begin(alert, firstSync);
      if (member.state === "ending" && member.incident?.kind === "single") {
        // Another episode: the end of the one before must be told first.
        this.#tellEnd(member);
        return this.#begin(alert, firstSync);
      }
      member.alert = alert;
      if (member.state !== "ending") return;
      place(member, member.incident, member.incident === undefined ? "waiting" : "told");
      this.#parts.ledger.put(member);
      if (member.incident !== undefined) this.#schedule(member.incident);
    } else if (member !== undefined && member.state !== "ending") {
      member.alert = alert;
      if (member.state === "waiting") this.#forget(member);
      else this.#end(member, now);
    }
  }

  acknowledged(alert: Alert): void {
    const member = this.members.get(alert.dedup_key);
    if (member !== undefined && member.state !== "ending") member.alert = alert;
  }

  /** What was known before the restart. */
  restore(members: readonly Member[], incidents: readonly Incident[]): void {
    for (const incident of incidents) {
      if (incident.kind === "single") continue;
      this.#incidents.set(incident.key, incident);
      this.#byIdentity.set(identityOf(incident), incident);
    }
    for (const member of members) {
      this.members.set(member.key, member);
      const { incident, state, alert } = member;
      if (state === "told" && alert.status === "resolved") {
        place(member, incident, "ending");
        this.#parts.ledger.put(member);
      }
      if (incident === undefined) {
        if (member.state !== "told") this.#fresh.add(member);
      } else if (incident.kind === "single" && member.state === "ending") this.#addLate(member);
    }
    for (const incident of incidents) this.#schedule(incident);
  }

  /** Decides, and queues what is to be told now. Called with each commit, before the outbox is. */
  work(now: number): void {
    this.#tellLate();
    for (const incident of this.#blocked) this.#due.set(incident, now);
    this.#blocked.clear();
    const policy = this.#policy;
    if (policy?.refreshes !== undefined) this.#tellAll(policy, policy.refreshes, now);
    else if (policy !== undefined) this.#route(policy, now);
    if (this.#regrouped && policy !== undefined) for (const incident of this.#incidents.values()) if (incident.members.size === 0) this.#close(incident);
    this.#regrouped &&= policy === undefined;
    for (let incident = this.#due.take(now); incident !== undefined; incident = this.#due.take(now)) this.#tell(incident, now);
  }

  #begin(alert: Alert, firstSync: boolean): void {
    const member: Member = { exporter: this.#parts.exporter, key: alert.dedup_key, alert, state: "waiting", incident: undefined, firstSync, counted: false };
    this.members.set(member.key, member);
    this.#fresh.add(member);
    this.#parts.ledger.put(member);
  }

  /** It was told, and is over. */
  #end(member: Member, now: number): void {
    const { outbox, exporter, ledger } = this.#parts;
    const { incident } = member;
    const { sendResolved, deduplicates } = this.#policy ?? DEFAULT_POLICY;
    if (incident?.kind === "single") {
      if (!sendResolved) {
        outbox.drop(exporter, incident.key);
        return this.#forget(member);
      }
      // A message that was posted is to be updated; one that still waits is overtaken.
      if (deduplicates || outbox.hasReceipt(exporter, incident.key) || outbox.has(exporter, incident.key) || outbox.room(exporter) > 0) return this.#tellEnd(member);
    }
    place(member, incident, "ending");
    ledger.put(member);
    if (incident === undefined) this.#fresh.add(member);
    else if (incident.kind === "single") this.#addLate(member);
    else this.#schedule(incident, now);
  }

  #tellEnd(member: Member): void {
    const { outbox, exporter } = this.#parts;
    outbox.enqueue(exporter, singleMessage(member.alert.status === "resolved" ? member.alert : { ...member.alert, status: "resolved" }));
    this.#forget(member);
  }

  #addLate(member: Member): void {
    this.#due.delete(member.incident!);
    const rule = ruleOf(member.alert);
    const late = this.#late.get(rule);
    if (late === undefined) this.#late.set(rule, new Set([member]));
    else late.add(member);
  }

  #tellLate(): void {
    const { outbox, exporter, externalLabels, onCoalesced } = this.#parts;
    for (const [rule, members] of this.#late) {
      if (outbox.queued(exporter) > 0 && outbox.room(exporter) <= 0) return;
      this.#late.delete(rule);
      const alerts = [...members].map(({ alert }) => alert);
      const [first] = alerts;
      if (alerts.length === 1) {
        outbox.enqueue(exporter, singleMessage(first!));
      } else {
        outbox.enqueue(exporter, groupMessage(groupKey(externalLabels(), "ended", [rule]), { alertname: first!.alert }, "resolved", [], alerts));
        onCoalesced(exporter, alerts.length - 1);
      }
      for (const member of members) this.#forget(member);
    }
  }

  #tellAll(policy: Policy, { everyMs, resolvedForMs }: NonNullable<Policy["refreshes"]>, now: number): void {
    for (const member of this.#fresh) if (member.state === "waiting" && !matchesAll(policy.match, member.alert.labels)) this.#forget(member);
    for (const member of this.#refresher.tell(this.#fresh, now, resolvedForMs)) {
      this.#fresh.delete(member);
      if (member.state === "ending") {
        this.#forget(member);
      } else {
        place(member, undefined, "told");
        this.#parts.ledger.put(member);
      }
    }
    if (this.#connected) this.#refresher.refresh(this.members, now, everyMs);
  }

  /** Every alert that waits finds the incident that it belongs to, or is told as its own. */
  #route(policy: Policy, now: number): void {
    const { suppression } = this.#parts;
    if (this.#suppressed.size > 0 && (suppression.epoch !== this.#suppressedEpoch || now >= this.#suppressedNextMs)) {
      for (const member of this.#suppressed) this.#fresh.add(member);
      this.#suppressed.clear();
      this.#suppressedNextMs = Infinity;
    }
    if (this.#fresh.size === 0) return;
    const firsts = new Map<string, Member[]>();
    const admit = this.#gate(policy, now);
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    for (const member of fresh) {
      if (member.state === "ending") this.#tellEnd(member);
      if (member.state !== "waiting" || !admit(member)) continue;
      const rule = ruleOf(member.alert);
      if (!member.firstSync) this.#routeOne(policy, member, rule, now);
      else if (firsts.has(rule)) firsts.get(rule)!.push(member);
      else firsts.set(rule, [member]);
    }
    for (const [rule, members] of firsts) {
      const identities = policy.groupBy === undefined ? undefined : new Set(members.map(({ alert }) => identityOfGroup(labelsBy(policy.groupBy!, alert))));
      const shares = members.length > 1 && identities?.size !== 1;
      for (const member of members) {
        member.firstSync = false;
        if (shares) this.#join(this.#storm(member.alert, rule), member, now);
        else this.#routeOne(policy, member, rule, now);
      }
    }
  }

  /** Whether an alert that waits may be told now; puts it aside, or forgets it, when not. */
  #gate(policy: Policy, now: number): (member: Member) => boolean {
    const { suppression, onSuppressed, exporter } = this.#parts;
    const reasonOf = suppression.at(now, policy);
    let nextMs: number | undefined;
    return (member) => {
      if (!matchesAll(policy.match, member.alert.labels)) {
        this.#forget(member);
        return false;
      }
      const reason = reasonOf(member.alert);
      if (reason === undefined) return true;
      this.#suppressedNextMs = Math.min(this.#suppressedNextMs, (nextMs ??= suppression.nextMs(now, policy)));
      this.#suppressedEpoch = suppression.epoch;
      this.#suppressed.add(member);
      if (member.incident !== undefined) {
        place(member, undefined);
        this.#parts.ledger.put(member);
      }
      if (!member.counted) onSuppressed(exporter, reason);
      member.counted = true;
      return false;
    };
  }

  #routeOne(policy: Policy, member: Member, rule: string, now: number): void {
    if (policy.groupBy !== undefined) return this.#join(this.#group(policy.groupBy, member.alert), member, now);
    const storm = this.#byIdentity.get(identityOfStorm(rule));
    if (storm !== undefined && storm.ragesUntil > now) return this.#join(storm, member, now);
    const { outbox, exporter } = this.#parts;
    if (outbox.room(exporter) > 0) return this.#tellSingle(member, now);
    // The destination has not heard that it was over: its incident goes on, and the message takes the place of the other.
    if (outbox.withdraw(exporter, member.key)) return this.#tellSingle(member, now, false);
    this.#overflow(member, rule, now);
  }

  #overflow(member: Member, rule: string, now: number): void {
    const storm = this.#storm(member.alert, rule);
    storm.ragesUntil = now + STORM_INTERVAL_MS;
    this.#join(storm, member, now);
  }

  #group(groupBy: readonly string[], alert: Alert): Incident {
    const labels = labelsBy(groupBy, alert);
    return this.#incidentOf(identityOfGroup(labels), "group", () => [JSON.stringify(labels)], { labels });
  }

  #storm(alert: Alert, rule: string): Incident {
    return this.#incidentOf(identityOfStorm(rule), "storm", () => [rule], { labels: { alertname: alert.alert }, rule });
  }

  #incidentOf(identity: string, kind: "group" | "storm", of: () => string[], more: Partial<Incident>): Incident {
    const known = this.#byIdentity.get(identity);
    if (known !== undefined) return known;
    const { exporter, externalLabels } = this.#parts;
    const incident = createIncident({ exporter, key: groupKey(externalLabels(), kind, of()), kind, ...more });
    this.#incidents.set(incident.key, incident);
    this.#byIdentity.set(identity, incident);
    return incident;
  }

  #join(incident: Incident, member: Member, now: number): void {
    const { ledger } = this.#parts;
    place(member, incident);
    ledger.put(member);
    if (incident.waitsSince === undefined) {
      incident.waitsSince = now;
      ledger.putIncident(incident);
    }
    if (!this.#blocked.has(incident)) this.#schedule(incident, now);
  }

  #tellSingle(member: Member, now: number, opens = true): void {
    const { outbox, exporter, ledger } = this.#parts;
    const incident = createIncident({ exporter, key: member.key, kind: "single", open: true, sentAt: now });
    place(member, incident, "told");
    ledger.put(member);
    outbox.enqueue(exporter, singleMessage(member.alert), { opens });
    this.#planRepeat(incident);
    this.#schedule(incident);
  }

  #planRepeat(incident: Incident): void {
    const repeatMs = this.#policy?.repeatIntervalMs;
    incident.repeatAt = repeatMs === undefined ? Infinity : incident.sentAt + Math.max(REPEAT_MS_MIN, repeatMs);
  }

  #schedule(incident: Incident, now = -Infinity): void {
    this.#due.set(incident, Math.max(now, this.#dueAt(incident)));
  }

  #dueAt({ kind, told, waiting, ending, open, sentAt, waitsSince, repeatAt }: Incident): number {
    const { groupWaitMs, groupIntervalMs } = this.#policy ?? DEFAULT_POLICY;
    if (kind === "single") return told > 0 ? repeatAt : Infinity;
    // All of it is over: that is told at once.
    if (told + waiting === 0) return 0;
    const storm = kind === "storm";
    if (!open) return (waitsSince ?? 0) + (storm ? 0 : groupWaitMs);
    const change = waiting > 0 ? sentAt + (storm ? STORM_INTERVAL_MS : groupIntervalMs) : ending > 0 ? sentAt + groupIntervalMs : Infinity;
    return told > 0 ? Math.min(change, repeatAt) : change;
  }

  /** An incident is due. */
  #tell(incident: Incident, now: number): void {
    const { outbox, exporter, ledger, onCoalesced } = this.#parts;
    const policy = this.#policy;
    const news: Member[] = [];
    if (incident.waiting > 0 && policy !== undefined) {
      const admit = this.#gate(policy, now);
      for (const member of incident.members) if (member.state === "waiting" && admit(member)) news.push(member);
    }
    if (incident.told === 0 && incident.waiting === 0) return this.#close(incident);
    // Nobody knows yet what this exporter wants; it is asked again when it is connected.
    if (policy === undefined) return;
    const ended = [...(incident.ending > 0 ? incident.members : [])].filter(({ state }) => state === "ending");
    if (news.length === 0 && !(ended.length > 0 && policy.sendResolved)) {
      for (const member of ended) this.#forget(member);
      if (!this.#repeats(incident, policy, now)) return this.#schedule(incident);
    }
    const [first] = news;
    if (news.length === 1 && incident.kind === "storm" && !incident.open && outbox.waiting(exporter) === 0) {
      place(first!, undefined);
      this.#tellSingle(first!, now);
      return this.#close(incident);
    }
    if (outbox.waiting(exporter) > 0 && outbox.room(exporter) <= 0) return this.#block(incident, news, now);
    const firing = news.map(({ alert }) => alert);
    for (const { state, alert } of incident.members) if (state === "told") firing.push(alert);
    const cause = !incident.open ? "fired" : news.length + ended.length > 0 ? "changed" : "repeat";
    const over = policy.sendResolved ? ended.map(({ alert }) => alert) : [];
    const message = incident.kind === "single" ? singleMessage(firing[0]!, "repeat") : groupMessage(incident.key, incident.labels, cause, firing, over);
    outbox.enqueue(exporter, message, { opens: !incident.open });
    if (incident.kind === "storm" && news.length > 0) onCoalesced(exporter, news.length - (incident.open ? 0 : 1));
    for (const member of news) {
      place(member, incident, "told");
      ledger.put(member);
    }
    for (const member of ended) this.#forget(member);
    incident.open = true;
    incident.sentAt = now;
    incident.waitsSince = undefined;
    ledger.putIncident(incident);
    if (incident.kind === "single") for (const member of incident.members) ledger.put(member);
    this.#planRepeat(incident);
    this.#schedule(incident);
  }

  /** Whether it is to be told again now; plans when to look again, if not. */
  #repeats(incident: Incident, policy: Policy, now: number): boolean {
    if (incident.repeatAt > now) return false;
    const told = [...incident.members].filter(({ state }) => state === "told");
    const unseen = told.filter(({ alert }) => alert.acknowledged === undefined);
    const reasonOf = this.#parts.suppression.at(now, policy);
    const heard = unseen.some(({ alert }) => reasonOf(alert) === undefined);
    if (!heard) incident.repeatAt = unseen.length === 0 ? Infinity : now + Math.min(REPEAT_LATER_MS, Math.max(REPEAT_MS_MIN, policy.repeatIntervalMs ?? Infinity));
    return heard;
  }

  #block(incident: Incident, news: readonly Member[], now: number): void {
    this.#blocked.add(incident);
    if (incident.kind !== "group" || incident.open || this.#blocked.size <= BLOCKED_GROUPS_MAX) return;
    for (const member of news) this.#overflow(member, ruleOf(member.alert), now);
    this.#close(incident);
  }

  /** Nothing of it fires any more, or nothing of it is left. */
  #close(incident: Incident): void {
    const { outbox, exporter, ledger } = this.#parts;
    if (incident.open) {
      const ended = [...incident.members].map(({ alert }) => alert);
      if ((this.#policy ?? DEFAULT_POLICY).sendResolved && ended.length > 0) outbox.enqueue(exporter, groupMessage(incident.key, incident.labels, "resolved", [], ended));
      else outbox.drop(exporter, incident.key);
    }
    for (const member of incident.members) this.#forget(member);
    this.#incidents.delete(incident.key);
    this.#byIdentity.delete(identityOf(incident));
    this.#due.delete(incident);
    this.#blocked.delete(incident);
    ledger.removeIncident(incident);
  }

  #forget(member: Member): void {
    const { incident } = member;
    place(member, undefined);
    this.members.delete(member.key);
    this.#fresh.delete(member);
    this.#suppressed.delete(member);
    const late = this.#late.get(ruleOf(member.alert));
    if (late?.delete(member) === true && late.size === 0) this.#late.delete(ruleOf(member.alert));
    this.#parts.ledger.remove(member);
    if (incident?.kind === "single") this.#due.delete(incident);
    else if (incident !== undefined && member.state === "waiting" && !this.#blocked.has(incident)) this.#schedule(incident);
  }
}

function ruleOf({ resource, rule }: Alert): string {
  return `${resource.type}\n${rule}`;
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
