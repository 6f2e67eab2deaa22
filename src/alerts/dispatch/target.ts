import type { Alert } from "../../sdk/alert.ts";
import { matchesAll } from "../../sdk/matchers.ts";
import { Admission, type AdmissionParts } from "./admission.ts";
import { Book, type BookParts } from "./book.ts";
import { firstSyncs } from "./first_sync.ts";
import { LateEnds } from "./late_ends.ts";
import { place, type Incident, type Member } from "./members.ts";
import { groupMessage, messageOf, singleMessage } from "./messages.ts";
import { DEFAULT_POLICY, type Policy } from "./policy.ts";
import { Refresher, type RefresherParts } from "./refresher.ts";
import { dueAt, repeatAt, repeats, STORM_INTERVAL_MS } from "./timing.ts";

/** Groups that may wait for room; beyond, their alerts share messages by rule. */
const BLOCKED_GROUPS_MAX = 20;

export interface TargetParts extends RefresherParts, BookParts, AdmissionParts {
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
  readonly book: Book;
  readonly #admission: Admission;
  readonly #late = new LateEnds();
  /** To be looked at with the next work. */
  readonly #fresh = new Set<Member>();
  /** Due, and there was no room. */
  readonly #blocked = new Set<Incident>();
  #policy: Policy | undefined;
  #connected = false;
  /** Groups may have lost all that waited in them. */
  #regrouped = false;

  constructor(parts: TargetParts) {
    this.#parts = parts;
    this.#refresher = new Refresher(parts);
    this.book = new Book(parts);
    this.#admission = new Admission(parts);
  }

  /** Waits for room: something leaving the outbox is reason to work. */
  get waitsForRoom(): boolean {
    return this.#blocked.size > 0 || this.#late.size > 0 || (this.#policy?.refreshes !== undefined && this.#fresh.size > 0);
  }

  /** When suppression may end; by the clock as it is set, ms. */
  get askMs(): number {
    return this.#connected ? this.#admission.nextMs : Infinity;
  }

  /** When there is something to do although nothing changes; ms. */
  get nextMs(): number {
    const refreshes = this.#policy?.refreshes !== undefined && this.#connected && (this.book.members.size > 0 || this.#refresher.hasRecent);
    return Math.min(this.book.due.nextMs, refreshes ? this.#refresher.nextMs : Infinity);
  }

  /** Undefined: it does not run now. True when it wants other things than before. */
  connect(policy: Policy | undefined): boolean {
    const returns = policy !== undefined && !this.#connected;
    this.#connected = policy !== undefined;
    if (policy === undefined) return false;
    const changed = policy.fingerprint !== this.#policy?.fingerprint;
    this.#policy = policy;
    this.#refresher.nextMs = 0;
    // What waits is decided on anew; a group keeps how long it has waited.
    this.#regrouped ||= changed;
    if (changed) for (const member of this.book.members.values()) {
      if (member.state !== "waiting" || member.incident?.kind === "storm") continue;
      this.book.move(member, undefined, "waiting");
      this.#admission.forget(member);
      this.#fresh.add(member);
    }
    if (changed || returns) for (const { incident } of this.book.members.values()) if (incident !== undefined) this.#plan(incident);
    return changed;
  }

  changed(alert: Alert, firstSync: boolean, now: number): void {
    const member = this.book.members.get(alert.dedup_key);
    if (alert.status === "firing") {
      if (member === undefined) return void this.#fresh.add(this.book.begin(alert, firstSync));
      if (member.state === "ending" && member.incident?.kind === "single") {
        // Another episode: the end of the one before must be told first.
        this.#tellEnd(member);
        return void this.#fresh.add(this.book.begin(alert, firstSync));
      }
      member.alert = alert;
      if (member.state !== "ending") return;
      this.book.move(member, member.incident, member.incident === undefined ? "waiting" : "told");
      if (member.incident !== undefined) this.#schedule(member.incident);
    } else if (member !== undefined && member.state !== "ending") {
      member.alert = alert;
      if (member.state === "waiting") this.#forget(member);
      else this.#end(member, now);
    }
  }

  /** It was told of this alert, by a version that did not write it down. */
  adopt(alert: Alert, now: number): void {
    this.#plan(this.book.single(this.book.begin(alert, false), now));
  }

  acknowledged(alert: Alert): void {
    const member = this.book.members.get(alert.dedup_key);
    if (member !== undefined && member.state !== "ending") member.alert = alert;
  }

  /** What was known before the restart. */
  restore(members: readonly Member[], incidents: readonly Incident[]): void {
    this.book.restore(members, incidents);
    for (const member of members) {
      if (member.state === "told" && member.alert.status === "resolved") this.book.move(member, member.incident, "ending");
      if (member.incident === undefined && member.state !== "told") this.#fresh.add(member);
      if (member.incident?.kind === "single" && member.state === "ending") this.#late.add(member);
    }
    for (const incident of incidents) this.#schedule(incident);
  }

  /** Decides, and queues what is to be told now. Called with each commit, before the outbox is. */
  work(now: number): void {
    this.#late.tell(this.#parts, (member) => this.#forget(member));
    if (this.#blocked.size > 0 && this.#hasRoom()) {
      for (const incident of this.#blocked) this.book.due.set(incident, now);
      this.#blocked.clear();
    }
    const policy = this.#policy;
    if (policy?.refreshes !== undefined) this.#tellAll(policy, policy.refreshes, now);
    else if (policy !== undefined && this.#connected) this.#route(policy, now);
    if (this.#regrouped && policy !== undefined) {
      this.#regrouped = false;
      for (const incident of this.book.incidents.values()) if (incident.members.size === 0) this.#close(incident);
    }
    for (let incident = this.book.due.take(now); incident !== undefined; incident = this.book.due.take(now)) this.#tell(incident, now);
  }

  /** It was told, and is over. */
  #end(member: Member, now: number): void {
    const { outbox, exporter } = this.#parts;
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
    this.book.move(member, incident, "ending");
    if (incident === undefined) this.#fresh.add(member);
    else this.#schedule(incident, now);
    if (incident?.kind === "single") this.#late.add(member);
  }

  #tellEnd(member: Member): void {
    this.#parts.outbox.enqueue(this.#parts.exporter, singleMessage(member.alert));
    this.#forget(member);
  }

  #tellAll(policy: Policy, { everyMs, resolvedForMs }: NonNullable<Policy["refreshes"]>, now: number): void {
    for (const member of this.#fresh) if (member.state === "waiting" && !matchesAll(policy.match, member.alert.labels)) this.#forget(member);
    for (const member of this.#refresher.tell(this.#fresh, now, resolvedForMs)) {
      this.#fresh.delete(member);
      if (member.state === "ending") this.#forget(member);
      else this.book.move(member, undefined, "told");
    }
    if (this.#connected) this.#refresher.refresh(this.book.members, now, everyMs);
  }

  /** Every alert that waits finds the incident that it belongs to, or is told as its own. */
  #route(policy: Policy, now: number): void {
    for (const member of this.#admission.again()) this.#fresh.add(member);
    if (this.#fresh.size === 0) return;
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    const { alone, shared } = firstSyncs(this.#admitted(fresh, policy), policy.groupBy);
    for (const member of alone) this.#routeOne(policy, member, now);
    for (const member of shared) this.#join(this.book.storm(member.alert), member, now);
  }

  /** Those that may be told now; the others are put aside, or forgotten. */
  #admitted(members: Iterable<Member>, policy: Policy): Member[] {
    const judge = this.#admission.gate(policy);
    const admitted: Member[] = [];
    for (const member of members) {
      if (member.state === "ending" && member.incident === undefined) this.#tellEnd(member);
      if (member.state !== "waiting") continue;
      const verdict = judge(member);
      if (verdict === "admitted") admitted.push(member);
      else if (verdict === "unwanted") this.#forget(member);
      else if (member.incident !== undefined) this.book.move(member, undefined, "waiting");
    }
    return admitted;
  }

  #routeOne(policy: Policy, member: Member, now: number): void {
    const { outbox, exporter } = this.#parts;
    if (policy.groupBy !== undefined) return this.#join(this.book.group(policy.groupBy, member.alert), member, now);
    const storm = this.book.knownStorm(member.alert);
    if (storm !== undefined && storm.ragesUntil > now) return this.#join(storm, member, now);
    if (outbox.room(exporter) > 0) return this.#tellSingle(member, now);
    // The destination has not heard that it was over: its incident goes on, and the message takes the place of the other.
    if (outbox.withdraw(exporter, member.key)) return this.#tellSingle(member, now, false);
    this.#overflow(member, now);
  }

  #overflow(member: Member, now: number): void {
    const storm = this.book.storm(member.alert);
    storm.ragesUntil = now + STORM_INTERVAL_MS;
    this.#join(storm, member, now);
  }

  #join(incident: Incident, member: Member, now: number): void {
    this.book.move(member, incident, "waiting");
    this.book.waits(incident, now);
    this.#schedule(incident, now);
  }

  #tellSingle(member: Member, now: number, opens = true): void {
    this.#plan(this.book.single(member, now));
    this.#parts.outbox.enqueue(this.#parts.exporter, singleMessage(member.alert), { opens });
  }

  #plan(incident: Incident): void {
    incident.repeatAt = repeatAt(incident, this.#policy);
    this.#schedule(incident);
  }

  #hasRoom(): boolean {
    const { outbox, exporter } = this.#parts;
    return outbox.waiting(exporter) === 0 || outbox.room(exporter) > 0;
  }

  #schedule(incident: Incident, now = -Infinity): void {
    // To look at all of it with each change, while there is no room, costs too much. That all of it is over is told.
    if (this.#blocked.has(incident) && incident.told + incident.waiting > 0) return;
    this.book.due.set(incident, Math.max(now, dueAt(incident, this.#policy ?? DEFAULT_POLICY)));
  }

  /** An incident is due. */
  #tell(incident: Incident, now: number): void {
    const { outbox, exporter, onCoalesced } = this.#parts;
    const policy = this.#policy;
    const news = incident.waiting > 0 && policy !== undefined && this.#connected ? this.#admitted([...incident.members], policy) : [];
    if (incident.told === 0 && incident.waiting === 0) return this.#close(incident);
    // Nobody knows yet what this exporter wants; it is asked again when it is connected.
    if (policy === undefined || !this.#connected) return;
    const ended = incident.ending === 0 ? [] : [...incident.members].filter(({ state }) => state === "ending");
    const told = ended.length > 0 && policy.sendResolved;
    if (news.length === 0 && !told) {
      for (const member of ended) this.#forget(member);
      if (!repeats(incident, now, this.#parts.suppression.mayHear(policy))) return this.#schedule(incident);
    }
    if (!this.#hasRoom()) return this.#block(incident, news, now);
    if (news.length === 1 && incident.kind === "storm" && !incident.open) {
      place(news[0]!, undefined);
      this.#tellSingle(news[0]!, now);
      return this.#close(incident);
    }
    outbox.enqueue(exporter, messageOf(incident, news, told ? ended : []), { opens: !incident.open });
    if (incident.kind === "storm" && news.length > 0) onCoalesced(exporter, news.length - (incident.open ? 0 : 1));
    for (const member of news) this.book.move(member, incident, "told");
    for (const member of ended) this.#forget(member);
    this.book.sent(incident, now);
    this.#plan(incident);
  }

  #block(incident: Incident, news: readonly Member[], now: number): void {
    this.#blocked.add(incident);
    if (incident.kind !== "group" || incident.open || this.#blocked.size <= BLOCKED_GROUPS_MAX) return;
    for (const member of news) this.#overflow(member, now);
    this.#close(incident);
  }

  /** Nothing of it fires any more, or nothing of it is left. */
  #close(incident: Incident): void {
    const { outbox, exporter } = this.#parts;
    if (incident.open) {
      const ended = [...incident.members].map(({ alert }) => alert);
      if ((this.#policy ?? DEFAULT_POLICY).sendResolved && ended.length > 0) outbox.enqueue(exporter, groupMessage(incident.key, incident.labels, "resolved", [], ended));
      else outbox.drop(exporter, incident.key);
    }
    this.#blocked.delete(incident);
    this.book.close(incident);
  }

  #forget(member: Member): void {
    const { incident, state } = member;
    this.#fresh.delete(member);
    this.#admission.forget(member);
    this.#late.forget(member);
    this.book.forget(member);
    if (incident !== undefined && incident.kind !== "single" && state === "waiting") this.#schedule(incident);
  }
}
