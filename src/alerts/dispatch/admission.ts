import { matchesAll } from "../../sdk/matchers.ts";
import type { Member } from "./members.ts";
import type { Policy } from "./policy.ts";
import type { Reason, Suppression } from "./suppression.ts";

export interface AdmissionParts {
  readonly exporter: string;
  readonly suppression: Suppression;
  readonly onSuppressed: (exporter: string, reason: Reason) => void;
}

export type Verdict = "admitted" | "suppressed" | "unwanted";

/** Which alerts that wait may be told now to one exporter, and when to ask again of those that may not. */
export class Admission {
  readonly #parts: AdmissionParts;
  readonly #suppressed = new Set<Member>();
  #epoch = 0;
  #nextMs = Infinity;

  constructor(parts: AdmissionParts) {
    this.#parts = parts;
  }

  /** When suppression may end by the passing of time, by the clock as it is set; ms. */
  get nextMs(): number {
    return this.#suppressed.size > 0 ? this.#nextMs : Infinity;
  }

  forget(member: Member): void {
    this.#suppressed.delete(member);
  }

  /** Those that were suppressed and may not be any more, to be asked about again. */
  *again(): Iterable<Member> {
    const { suppression } = this.#parts;
    if (this.#suppressed.size === 0 || (suppression.epoch === this.#epoch && suppression.now < this.#nextMs)) return;
    const members = [...this.#suppressed];
    this.#suppressed.clear();
    this.#nextMs = Infinity;
    yield* members;
  }

  /** Judges at one moment. What is suppressed is kept here. */
  gate(policy: Policy): (member: Member) => Verdict {
    const { suppression, onSuppressed, exporter } = this.#parts;
    const reasonOf = suppression.at(policy);
    let nextMs: number | undefined;
    return (member) => {
      if (!matchesAll(policy.match, member.alert.labels)) return "unwanted";
      const reason = reasonOf(member.alert);
      if (reason === undefined) return "admitted";
      this.#nextMs = Math.min(this.#nextMs, (nextMs ??= suppression.nextMs(policy)));
      this.#epoch = suppression.epoch;
      this.#suppressed.add(member);
      if (!member.counted) onSuppressed(exporter, reason);
      member.counted = true;
      return "suppressed";
    };
  }
}
